"""Order of text in two directions."""

from fruix.packages.package import Origin, Package

package = Package(
    name="fribidi",
    version="1.0.16",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/f/fribidi/fribidi_1.0.16.orig.tar.xz",
            "https://github.com/fribidi/fribidi/releases/download/v1.0.16/fribidi-1.0.16.tar.xz",
        ),
        sha256="1b1cde5b235d40479e91be2f0e88a309e3214c8ab470ec8a2744d82a5a9ea05c",
    ),
    build_system="meson",
    arguments={"configure_flags": ("-Ddocs=false",)},
    synopsis="Order of text in two directions",
    description=(
        "FriBidi implements Unicode's algorithm for text that runs from right to left and from left to right."
    ),
    license="LGPL-2.1-or-later",
    home_page="https://github.com/fribidi/fribidi",
)
