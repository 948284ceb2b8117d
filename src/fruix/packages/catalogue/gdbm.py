"""Database of keys and values in a file."""

from fruix.packages.catalogue.readline import package as readline
from fruix.packages.package import Origin, Package

package = Package(
    name="gdbm",
    version="1.24",
    source=Origin(
        urls=("mirror://debian/pool/main/g/gdbm/gdbm_1.24.orig.tar.gz", "mirror://gnu/gdbm/gdbm-1.24.tar.gz"),
        sha256="695e9827fdf763513f133910bc7e6cfdb9187943a4fec943e57449723d2b8dbf",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": ("--disable-nls", "--disable-static", "--enable-libgdbm-compat"),
        "count_tests": (r"^ *[0-9]+: .* ok$", r"^ *[0-9]+: .* FAILED"),
    },
    inputs=(readline,),
    synopsis="Database of keys and values in a file",
    description="GDBM keeps pairs of keys and values in a file, found by extendible hashing.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/gdbm/",
)
