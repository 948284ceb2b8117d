"""Language for lines and fields, small and fast."""

from fruix.packages.package import Origin, Package

package = Package(
    name="mawk",
    version="1.3.4.20250131",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/m/mawk/mawk_1.3.4.20250131.orig.tar.gz",
            "https://invisible-island.net/archives/mawk/mawk-1.3.4-20250131.tgz",
        ),
        sha256="51bcb82d577b141d896d9d9c3077d7aaa209490132e9f2b9573ba8511b3835be",
    ),
    build_system="gnu",
    arguments={"count_tests": (r" OK$", r"^\?\? fail ")},
    synopsis="Language for lines and fields, small and fast",
    description="mawk is an interpreter of AWK that compiles programs before it runs them.",
    license="GPL-2.0-only",
    home_page="https://invisible-island.net/mawk/",
)
