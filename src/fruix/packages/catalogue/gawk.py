"""Language for lines and fields."""

from fruix.packages.build_systems.shared_phases import locales
from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.readline import package as readline
from fruix.packages.package import Origin, Package

# Of those it knows by a program that looks in the system's directory alone.
_LOCALES = f"""{locales("en_US", "fr_FR", "ja_JP", "ru_RU")}
sed -i 's/locale -a/ls $$LOCPATH/' test/Makefile
"""

package = Package(
    name="gawk",
    version="5.2.1",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/g/gawk/gawk_5.2.1.orig.tar.xz",),
        sha256="2337a0283b180ec1b9c727973a34781c6478b3ae9bcbdcca0a4dc49861d75a65",
    ),
    build_system="gnu",
    root="debian-12+locales",  # of its tests
    host_view="base",
    arguments={
        "configure_flags": ("--disable-nls", "--disable-mpfr"),
        # The suite says one sentence for all of its programs, or how many have failed.
        "count_tests": (r"^ALL TESTS PASSED", r"TESTS FAILED"),
        # Debian's archive has no manual, from which the examples of awklib are made.
        "phases": lambda phases: phases.insert_before(
            "configure", "no-manual", "sed -i '/^SUBDIRS/s/ doc awklib / /' Makefile.in"
        ).insert_before("check", "make-locales", _LOCALES),
    },
    inputs=(dash, readline),
    synopsis="Language for lines and fields",
    description="gawk is the GNU version of AWK: patterns, and what to do with lines that match.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/gawk/",
)
