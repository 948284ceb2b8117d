"""Writes configure scripts."""

from fruix.packages.catalogue.m4 import package as m4
from fruix.packages.catalogue.perl import package as perl
from fruix.packages.package import Origin, Package

package = Package(
    name="autoconf",
    version="2.72",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/a/autoconf/autoconf_2.72.orig.tar.xz",
            "mirror://gnu/autoconf/autoconf-2.72.tar.xz",
        ),
        sha256="ba885c1319578d6c94d46e9b0dceb4014caafe2490e437a0dbca3f270a223f5a",
    ),
    build_system="gnu",
    arguments={
        # Of 560 groups of tests, most run each macro by itself, for an hour.
        "make_flags": ("TESTSUITEFLAGS=1-40",),
        "count_tests": (r"^ *[0-9]+: .* ok$", r"^ *[0-9]+: .* FAILED"),
    },
    inputs=(perl,),
    # What it makes goes through m4 whenever it runs.
    propagated_inputs=(m4,),
    untested={"groups 41 and later": "they run every macro by itself, left out for their length"},
    synopsis="Writes configure scripts",
    description="Autoconf makes shell scripts that look for what a system has, from macros of M4.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/autoconf/",
)
