"""Stream parser of XML."""

from fruix.packages.package import Origin, Package

package = Package(
    name="expat",
    version="2.5.0",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/e/expat/expat_2.5.0.orig.tar.gz",),
        sha256="ab00ee05c7067fd10a35c5d2a4922ebba746ddd50ff83b79c828da17bbdf1757",
    ),
    build_system="cmake",
    arguments={"source_directory": "expat", "configure_flags": ("-DEXPAT_BUILD_DOCS=OFF",)},
    synopsis="Stream parser of XML",
    description="Expat calls the program's functions for what it finds in an XML document, as it reads it.",
    license="MIT",
    home_page="https://libexpat.github.io/",
)
