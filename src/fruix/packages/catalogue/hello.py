"""GNU Hello."""

from fruix.packages.package import Origin, Package

package = Package(
    name="hello",
    version="2.12.3",
    source=Origin(
        urls=(
            "mirror://gnu/hello/hello-2.12.3.tar.gz",
            "mirror://debian/pool/main/h/hello/hello_2.12.3.orig.tar.gz",
        ),
        sha256="0d5f60154382fee10b114a1c34e785d8b1f492073ae2d3a6f7b147687b366aa0",
    ),
    build_system="gnu",
    synopsis="Program that greets the world",
    description=(
        "GNU Hello prints a friendly greeting. It serves as an example of how GNU packages are "
        "built, tested and translated."
    ),
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/hello/",
)
