"""Compressor that uses all processors."""

from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

_INSTALL = """
mkdir -p "$out/bin" "$out/share/man/man1"
cp pigz "$out/bin/"
ln -s pigz "$out/bin/unpigz"
cp pigz.1 "$out/share/man/man1/"
"""

package = Package(
    name="pigz",
    version="2.8",
    source=Origin(
        # Debian's own archive of upstream's release: upstream's has another hash.
        urls=("mirror://debian/pool/main/p/pigz/pigz_2.8.orig.tar.xz",),
        sha256="bec34f9d61e28b9b069da9efd53e73d22cd207a4798ed664832dc9b17aa486aa",
    ),
    build_system="gnu",
    arguments={
        "check_target": "test",
        "phases": lambda phases: phases.remove("configure").replace("install", _INSTALL),
    },
    inputs=(zlib,),
    synopsis="Compressor that uses all processors",
    description="pigz writes the format of gzip, by as many threads as there are processors.",
    license="Zlib",
    home_page="https://zlib.net/pigz/",
)
