"""Reader and writer of JSON."""

from fruix.packages.package import Origin, Package

package = Package(
    name="jansson",
    version="2.14",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/j/jansson/jansson_2.14.orig.tar.gz",),
        sha256="c739578bf6b764aa0752db9a2fdadcfe921c78f1228c7ec0bb47fa804c55d17b",
    ),
    build_system="cmake",
    arguments={
        "configure_flags": (
            "-DJANSSON_BUILD_DOCS=OFF",
            "-DJANSSON_BUILD_SHARED_LIBS=ON",
            "-DJANSSON_EXAMPLES=OFF",
        )
    },
    synopsis="Reader and writer of JSON",
    description="Jansson reads, changes and writes JSON from C.",
    license="MIT",
    home_page="https://github.com/akheron/jansson",
)
