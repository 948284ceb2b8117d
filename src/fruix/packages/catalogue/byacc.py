"""Writes parsers from grammars."""

from fruix.packages.package import Origin, Package

package = Package(
    name="byacc",
    version="2.0.20241231",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/b/byacc/byacc_2.0.20241231.orig.tar.gz",
            "https://invisible-island.net/archives/byacc/byacc-20241231.tgz",
        ),
        sha256="192c2fae048d4e7f514ba451627f9c4e612765099f819c19191f9fde3e609673",
    ),
    build_system="gnu",
    arguments={
        # One line for each file that is compared with what it should be.
        "count_tests": (r"^\.\.\.ok ", r"^\.\.\.(diff|missing) "),
    },
    synopsis="Writes parsers from grammars",
    description="Berkeley Yacc makes parsers in C, compatible with those of the original yacc.",
    license="public-domain",
    home_page="https://invisible-island.net/byacc/",
)
