"""Language for lines and fields."""

from fruix.packages.catalogue.readline import package as readline
from fruix.packages.package import Origin, Package

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
    host_view="base",  # not tried in the root yet
    arguments={
        "configure_flags": ("--disable-nls", "--disable-mpfr"),
        # The suite says one sentence for all of its programs, or how many have failed.
        "count_tests": (r"^ALL TESTS PASSED", r"TESTS FAILED"),
        # Debian's archive has no manual, from which the examples of awklib are made.
        "phases": lambda phases: phases.insert_before(
            "configure", "no-manual", "sed -i '/^SUBDIRS/s/ doc awklib / /' Makefile.in"
        ).insert_before(
            "check",
            "leave-out-tests",
            r"sed -i -E '/^\t[a-z]/s/\<(commas|iolint|mbstr1|mbstr2)\>//g' test/Makefile",
        ),
    },
    inputs=(readline,),
    untested={
        "commas, mbstr1, mbstr2": "they want the locale en_US.UTF-8; the host view has C alone",
        "iolint": "it wants cksum, which the host view does not have",
    },
    synopsis="Language for lines and fields",
    description="gawk is the GNU version of AWK: patterns, and what to do with lines that match.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/gawk/",
)
