"""Writes perfect hash functions."""

from fruix.packages.package import Origin, Package

package = Package(
    name="gperf",
    version="3.2.1",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/g/gperf/gperf_3.2.1.orig.tar.gz",
            "mirror://gnu/gperf/gperf-3.2.1.tar.gz",
        ),
        sha256="ed5ad317858e0a9badbbada70df40194002e16e8834ac24491307c88f96f9702",
    ),
    build_system="gnu",
    root="debian-12+c++",
    host_view="base",
    synopsis="Writes perfect hash functions",
    description="gperf makes C or C++ code that finds each of a set of words by one comparison.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/gperf/",
)
