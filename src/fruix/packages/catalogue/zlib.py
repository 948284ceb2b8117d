"""Compression library."""

from fruix.packages.package import Origin, Package

package = Package(
    name="zlib",
    version="1.3.1",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz",),
        sha256="60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb",
    ),
    build_system="gnu",
    arguments={"count_tests": (r"test OK \*\*\*", r"FAILED \*\*\*")},
    synopsis="Compression library",
    description="zlib implements the deflate compression method and the file formats zlib and gzip.",
    license="Zlib",
    home_page="https://zlib.net/",
)
