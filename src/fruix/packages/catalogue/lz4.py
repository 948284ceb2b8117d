"""Very fast compression."""

from fruix.packages.package import Origin, Package

package = Package(
    name="lz4",
    version="1.10.0",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/l/lz4/lz4_1.10.0.orig.tar.gz",),
        sha256="537512904744b35e232912055ccf8ec66d768639ff3abe5788d90d792ec5f48b",
    ),
    build_system="gnu",
    arguments={
        "make_flags": ("PREFIX=$out",),
        # Each part of the suite announces itself, and make stops at one that fails.
        "count_tests": (r"^ *---- test", r"^make.* Error [0-9]+$"),
        "phases": lambda phases: phases.remove("configure"),
    },
    synopsis="Very fast compression",
    description="LZ4 is a compressor and a library made for speed.",
    license="BSD-2-Clause AND GPL-2.0-or-later",
    home_page="https://lz4.org/",
)
