"""Language of commands."""

from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

package = Package(
    name="tcl",
    version="8.6.16",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/t/tcl8.6/tcl8.6_8.6.16+dfsg.orig.tar.gz",),
        sha256="c3b6a803ea2e55cafa8b4b52546a6b3bb3722927dcf4bebe3a6549fd353702ea",
    ),
    build_system="gnu",
    arguments={
        "tests": False,
        "phases": lambda phases: phases.insert_before("configure", "enter-unix", "cd unix").insert_after(
            "install", "name-tclsh", 'ln -s tclsh8.6 "$out/bin/tclsh"'
        ),
    },
    inputs=(zlib,),
    untested={"*": "not run: Tcl is here to build SQLite"},
    synopsis="Language of commands",
    description="Tcl is a small language for tying programs together.",
    license="TCL",
    home_page="https://www.tcl-lang.org/",
)
