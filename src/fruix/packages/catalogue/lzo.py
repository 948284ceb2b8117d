"""Compression library for speed."""

from fruix.packages.package import Origin, Package

package = Package(
    name="lzo",
    version="2.10",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/l/lzo2/lzo2_2.10.orig.tar.gz",
            "https://www.oberhumer.com/opensource/lzo/download/lzo-2.10.tar.gz",
        ),
        sha256="c0f892943208266f9b6543b3ae308fab6284c5c90e627931446fb49b4221a072",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--enable-shared", "--disable-static")},
    synopsis="Compression library for speed",
    description="LZO compresses less than others, and unpacks faster than most.",
    license="GPL-2.0-or-later",
    home_page="https://www.oberhumer.com/opensource/lzo/",
)
