"""Reader and writer of PNG pictures."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

package = Package(
    name="libpng",
    version="1.6.48",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/libp/libpng1.6/libpng1.6_1.6.48.orig.tar.gz",),
        sha256="b17e99026055727e8cba99160c3a9a7f9af788e9f786daeadded5a42243f1dd0",
    ),
    build_system="gnu",
    # Its header includes zlib's.
    propagated_inputs=(zlib,),
    inputs=(dash,),
    synopsis="Reader and writer of PNG pictures",
    description="libpng is the reference implementation of Portable Network Graphics.",
    license="libpng-2.0",
    home_page="http://www.libpng.org/pub/png/libpng.html",
)
