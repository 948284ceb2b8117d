"""Compression by deflate, of whole buffers."""

from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

# CMake looks among the inputs, and this is one of the tests alone.
_FIND = 'CMAKE_PREFIX_PATH=$(grep -e -zlib- "$nativeInputsPath")\nexport CMAKE_PREFIX_PATH'

package = Package(
    name="libdeflate",
    version="1.23",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/libd/libdeflate/libdeflate_1.23.orig.tar.gz",),
        sha256="1ab18349b9fb0ce8a0ca4116bded725be7dcbfa709e19f6f983d99df1fb8b25f",
    ),
    build_system="cmake",
    arguments={
        "configure_flags": ("-DLIBDEFLATE_BUILD_TESTS=ON", "-DLIBDEFLATE_BUILD_STATIC_LIB=OFF"),
        "phases": lambda phases: phases.insert_before("configure", "find-zlib", _FIND),
    },
    native_inputs=(zlib,),
    synopsis="Compression by deflate, of whole buffers",
    description="libdeflate packs and unpacks the formats of gzip and zlib, faster than zlib does.",
    license="MIT",
    home_page="https://github.com/ebiggers/libdeflate",
)
