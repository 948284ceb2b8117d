"""Tells what kind of data a file holds."""

from fruix.packages.catalogue.bzip2 import package as bzip2
from fruix.packages.catalogue.xz import package as xz
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

package = Package(
    name="file",
    version="5.46",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/f/file/file_5.46.orig.tar.gz",
            "https://astron.com/pub/file/file-5.46.tar.gz",
        ),
        sha256="c9cc77c7c560c543135edc555af609d5619dbef011997e988ce40a3d75d86088",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": ("--disable-zstdlib", "--disable-lzlib", "--disable-libseccomp"),
        # Each test says what it has found, and then whether that was wrong.
        "count_tests": (r"^\.\./tests/.*\.testfile: ", r"^test: ERROR"),
    },
    inputs=(bzip2, xz, zlib),
    synopsis="Tells what kind of data a file holds",
    description="file looks at contents, by a database of patterns. The library libmagic is included.",
    license="BSD-2-Clause",
    home_page="https://www.darwinsys.com/file/",
)
