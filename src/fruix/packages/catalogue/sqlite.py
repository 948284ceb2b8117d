"""Database in a file."""

from fruix.packages.catalogue.readline import package as readline
from fruix.packages.catalogue.tcl import package as tcl
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

package = Package(
    name="sqlite",
    version="3.46.1",
    source=Origin(
        # Debian's own archive of upstream's repository.
        urls=("mirror://debian/pool/main/s/sqlite3/sqlite3_3.46.1.orig.tar.xz",),
        sha256="d0cdd2ece271b29e7ce18095745d892517ee26d0f270065b3a25c2e9eb11639c",
    ),
    build_system="gnu",
    arguments={
        # Its configure looks for readline.h in directories of the host only; compilers find it by
        # the search path.
        "configure_flags": (
            "--disable-tcl",
            "--disable-static",
            "--enable-readline",
            "--with-readline-inc=-I.",
        ),
        "check_target": "fuzztest",
        # One line for each database of old finds of fuzzers.
        "count_tests": (r" 0 errors out of [0-9]+ tests", r" [1-9][0-9]* errors out of [0-9]+ tests"),
    },
    inputs=(readline, zlib),
    native_inputs=(tcl,),
    untested={"tcltest": "upstream's suite in Tcl, left out for its length"},
    synopsis="Database in a file",
    description="SQLite is a library that keeps relational data in one file and answers SQL.",
    license="blessing",
    home_page="https://sqlite.org/",
)
