"""Compressor with a well-kept format."""

from fruix.packages.package import Origin, Package

package = Package(
    name="lzip",
    version="1.25",
    source=Origin(
        # Debian's own archive, made from upstream's, which is packed by lzip.
        urls=("mirror://debian/pool/main/l/lzip/lzip_1.25.orig.tar.xz",),
        sha256="b854b1e83c978485de6a8c3d47299dfca8d86ce771d05a278d5badcc9101e949",
    ),
    build_system="gnu",
    root="debian-12+c++",
    host_view="base",
    arguments={
        "configure_flags": ("CXXFLAGS=-O2",),
        # The suite says one sentence for all of its checks.
        "count_tests": (r"^tests completed successfully", r"^test failed"),
    },
    synopsis="Compressor with a well-kept format",
    description="lzip compresses by LZMA into a format made for archives that are to last.",
    license="GPL-2.0-or-later",
    home_page="https://www.nongnu.org/lzip/lzip.html",
)
