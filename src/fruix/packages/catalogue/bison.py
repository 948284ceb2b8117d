"""Writes parsers."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.m4 import package as m4
from fruix.packages.package import Origin, Package

# The examples were taken from the manual when it was there: it must look older than they are.
_NO_MANUAL = """
touch -t 200001010000 doc/bison.texi
sed -i -e 's/^INFO_DEPS = .*/INFO_DEPS =/' -e 's/^all-local: .*info.bak$/all-local:/' Makefile.in
"""

package = Package(
    name="bison",
    version="3.8.2",
    source=Origin(
        # Debian's own archive, without the manual, which it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/b/bison/bison_3.8.2+dfsg.orig.tar.xz",),
        sha256="dff8a3c96dd34121828f62a7fa49e1f7765815b89e59f564e8d2a9e71c177be5",
    ),
    build_system="gnu",
    root="debian-12+c+++perl",  # some tests are in C++; Perl makes files of the examples
    host_view="base+perl",
    arguments={
        "configure_flags": ("--disable-nls",),
        "make_flags": ("TESTSUITEFLAGS=1-150",),
        "phases": lambda phases: phases.insert_before("configure", "no-manual", _NO_MANUAL),
        "count_tests": (r"^ *[0-9]+: .* ok$", r"^ *[0-9]+: .* FAILED"),
    },
    inputs=(dash,),
    # What it writes goes through m4 whenever it runs.
    propagated_inputs=(m4,),
    untested={"groups 151 and later": "most build parsers in several languages, left out for their length"},
    synopsis="Writes parsers",
    description="Bison makes parsers in C, C++, D and Java from grammars.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/bison/",
)
