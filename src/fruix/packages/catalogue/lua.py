"""Language for extending programs."""

from fruix.packages.catalogue.readline import package as readline
from fruix.packages.package import Origin, Package

# Modules are looked for in the store; the library can be part of shared ones.
_BUILD = """
sed -i "s|/usr/local/|$out/|" src/luaconf.h
"$make" linux-readline MYCFLAGS=-fPIC
"""

package = Package(
    name="lua",
    version="5.4.7",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/l/lua5.4/lua5.4_5.4.7.orig.tar.gz",
            "https://www.lua.org/ftp/lua-5.4.7.tar.gz",
        ),
        sha256="9fbf5e28ef86c69858f6d3d34eccc32e911c1a28b4120ff3e84aaa70cfbf1e30",
    ),
    build_system="gnu",
    arguments={
        "make_flags": ("INSTALL_TOP=$out", "INSTALL_MAN=$out/share/man/man1"),
        "tests": False,
        "phases": lambda phases: phases.remove("configure").replace("build", _BUILD),
    },
    inputs=(readline,),
    untested={"*": "upstream's archive has no tests but a look at the version"},
    synopsis="Language for extending programs",
    description="Lua is a small interpreted language that programs are extended by.",
    license="MIT",
    home_page="https://www.lua.org/",
)
