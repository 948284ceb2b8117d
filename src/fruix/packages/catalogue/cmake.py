"""Writes the rules of builds."""

from fruix.packages.catalogue.bzip2 import package as bzip2
from fruix.packages.catalogue.curl import package as curl
from fruix.packages.catalogue.expat import package as expat
from fruix.packages.catalogue.xz import package as xz
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.catalogue.zstd import package as zstd
from fruix.packages.package import Origin, Package

# It builds a small CMake by the compiler alone, which then builds the whole.
_CONFIGURE = """
sh ./bootstrap --prefix="$out" --docdir=share/doc/cmake --mandir=share/man --parallel="$NIX_BUILD_CORES" \\
    --system-bzip2 --system-curl --system-expat --system-liblzma --system-zlib --system-zstd \\
    -- -DCMAKE_BUILD_TYPE=Release -DBUILD_CursesDialog=OFF -DCMAKE_INSTALL_RPATH="$out/lib"
"""

# Newer versions of curl have these values as numbers.
_NETRC = "sed -i 's/CURL_NETRC_OPTION curl_netrc_level =/long curl_netrc_level =/' Source/cmCurl.cxx"

# Of its own library, and of the language and its commands that need no compiler.
_TESTED = (
    "CMakeLib|RunCMake.(Syntax|block|cmake_(minimum_required|parse_arguments|path)|continue|foreach|function|"
    "get_filename_component|if|include|list|math|message|option|return|separate_arguments|set|string|"
    "variable_watch|while)"
)
_CHECK = f"""
(unset CMAKE_PREFIX_PATH; bin/ctest -j "$NIX_BUILD_CORES" --output-on-failure -R '^({_TESTED})($|\\.)')
"""

package = Package(
    name="cmake",
    version="3.25.1",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/c/cmake/cmake_3.25.1.orig.tar.gz",
            "https://github.com/Kitware/CMake/releases/download/v3.25.1/cmake-3.25.1.tar.gz",
        ),
        sha256="1c511d09516af493694ed9baf13c55947a36389674d657a2d5e0ccedc6b291d8",
    ),
    build_system="gnu",
    root="debian-12+c++",
    host_view="base",
    arguments={
        "phases": lambda phases: (
            phases.insert_before("configure", "netrc-of-curl", _NETRC)
            .replace("configure", _CONFIGURE)
            .replace("check", _CHECK)
        ),
    },
    inputs=(bzip2, curl, expat, xz, zlib, zstd),
    untested={"tests that build": "five hundred small projects, left out for their length"},
    synopsis="Writes the rules of builds",
    description="CMake reads a description of what to build and writes the rules for Make or Ninja.",
    license="BSD-3-Clause",
    home_page="https://cmake.org/",
)
