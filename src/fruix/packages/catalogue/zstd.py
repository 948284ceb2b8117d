"""Compression, fast and strong."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.less import package as less
from fruix.packages.catalogue.lz4 import package as lz4
from fruix.packages.catalogue.xz import package as xz
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

package = Package(
    name="zstd",
    version="1.5.7",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/libz/libzstd/libzstd_1.5.7+dfsg.orig.tar.xz",),
        sha256="0c092ef267edce57ba7f3f2645c861f72eaf5e76273c6c3632869423464b90a5",
    ),
    build_system="gnu",
    arguments={
        "make_flags": ("PREFIX=$out",),
        # Each part of the suite announces itself, and make stops at one that fails.
        "count_tests": (r"^===> ", r"^make.* Error [0-9]+$"),
        "phases": lambda phases: phases.remove("configure").insert_after(
            "install", "name-less", 'sed -i "s|exec less|exec $(command -v less)|" "$out/bin/zstdless"'
        ),
    },
    inputs=(dash, less, lz4, xz, zlib),
    synopsis="Compression, fast and strong",
    description="Zstandard is a compressor and a library with a wide range of speeds.",
    license="BSD-3-Clause OR GPL-2.0-only",
    home_page="https://facebook.github.io/zstd/",
)
