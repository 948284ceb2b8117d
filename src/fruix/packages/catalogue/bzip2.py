"""Compressor and library of high compression."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.package import Origin, Package

_SHARED = """
cp -P libbz2.so.* "$out/lib/"
ln -s libbz2.so.1.0 "$out/lib/libbz2.so"
cp bzip2-shared "$out/bin/bzip2"
for name in bunzip2 bzcat; do ln -sf bzip2 "$out/bin/$name"; done
mkdir -p "$out/share" && mv "$out/man" "$out/share/man"
"""

package = Package(
    name="bzip2",
    version="1.0.8",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/b/bzip2/bzip2_1.0.8.orig.tar.gz",
            "https://sourceware.org/pub/bzip2/bzip2-1.0.8.tar.gz",
        ),
        sha256="ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269",
    ),
    build_system="gnu",
    arguments={
        "make_flags": ("PREFIX=$out",),
        # Six comparisons of what was packed or unpacked with what should have come out; make shows
        # each.
        "count_tests": (r"^cmp sample", r" differ: "),
        "phases": lambda phases: (
            phases.remove("configure")
            .insert_before("build", "build-shared", "make -f Makefile-libbz2_so && rm -f *.o")
            .insert_after("install", "install-shared", _SHARED)
        ),
    },
    inputs=(dash,),
    synopsis="Compressor and library of high compression",
    description=(
        "bzip2 compresses files by the Burrows-Wheeler transform and Huffman coding. The library "
        "libbz2 and the tools around it are included."
    ),
    license="bzip2-1.0.6",
    home_page="https://sourceware.org/bzip2/",
)
