"""Applies differences to files."""

from fruix.packages.catalogue.ed import package as ed
from fruix.packages.package import Origin, Package

package = Package(
    name="patch",
    version="2.8",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/p/patch/patch_2.8.orig.tar.xz",
            "mirror://gnu/patch/patch-2.8.tar.xz",
        ),
        sha256="f87cee69eec2b4fcbf60a396b030ad6aa3415f192aa5f7ee84cad5e11f7f5ae3",
    ),
    build_system="gnu",
    # For differences that are scripts for ed.
    inputs=(ed,),
    synopsis="Applies differences to files",
    description="patch takes the output of diff and changes files by it.",
    license="GPL-3.0-or-later",
    home_page="https://savannah.gnu.org/projects/patch/",
)
