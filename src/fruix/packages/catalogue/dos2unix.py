"""Converts line ends."""

from fruix.packages.package import Origin, Package

package = Package(
    name="dos2unix",
    version="7.5.2",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/d/dos2unix/dos2unix_7.5.2.orig.tar.gz",
            "https://waterlan.home.xs4all.nl/dos2unix/dos2unix-7.5.2.tar.gz",
        ),
        sha256="264742446608442eb48f96c20af6da303cb3a92b364e72cb7e24f88239c4bf3a",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "make_flags": ("prefix=$out", "ENABLE_NLS="),
        "count_tests": (r"^ok [0-9]+", r"^not ok [0-9]+"),
        "phases": lambda phases: phases.remove("configure"),
    },
    synopsis="Converts line ends",
    description="dos2unix and unix2dos convert between the line ends of systems, and UTF-16 to UTF-8.",
    license="BSD-2-Clause",
    home_page="https://waterlan.home.xs4all.nl/dos2unix.html",
)
