"""Message digests as in BSD."""

from fruix.packages.package import Origin, Package

package = Package(
    name="libmd",
    version="1.1.0",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/libm/libmd/libmd_1.1.0.orig.tar.xz",
            "https://archive.hadrons.org/software/libmd/libmd-1.1.0.tar.xz",
        ),
        sha256="1bd6aa42275313af3141c7cf2e5b964e8b1fd488025caf2f971f43b00776b332",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-static",)},
    synopsis="Message digests as in BSD",
    description="libmd has the functions for MD2 to SHA-512 that BSD systems have in their library.",
    license="BSD-3-Clause AND BSD-2-Clause AND ISC AND Beerware",
    home_page="https://www.hadrons.org/software/libmd/",
)
