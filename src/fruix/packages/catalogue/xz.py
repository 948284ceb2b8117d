"""Compressor and library of the LZMA family."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.package import Origin, Package

package = Package(
    name="xz",
    version="5.8.1",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/x/xz-utils/xz-utils_5.8.1.orig.tar.xz",
            "https://tukaani.org/xz/xz-5.8.1.tar.xz",
        ),
        sha256="0b54f79df85912504de0b14aec7971e3f964491af1812d83447005807513cd9e",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-static", "--disable-doc")},
    inputs=(dash,),
    synopsis="Compressor and library of the LZMA family",
    description=(
        "XZ Utils compresses by LZMA2 and reads the older format .lzma. The library liblzma is included."
    ),
    license="0BSD AND GPL-2.0-or-later",
    home_page="https://tukaani.org/xz/",
)
