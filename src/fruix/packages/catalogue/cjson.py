"""Reader and writer of JSON in C."""

from fruix.packages.package import Origin, Package

package = Package(
    name="cjson",
    version="1.7.18",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/c/cjson/cjson_1.7.18.orig.tar.gz",),
        sha256="3aa806844a03442c00769b83e99970be70fbef03735ff898f4811dd03b9f5ee5",
    ),
    build_system="cmake",
    arguments={"configure_flags": ("-DENABLE_CJSON_UTILS=ON",)},
    synopsis="Reader and writer of JSON in C",
    description="cJSON is a small library that parses JSON into a tree, and prints it.",
    license="MIT",
    home_page="https://github.com/DaveGamble/cJSON",
)
