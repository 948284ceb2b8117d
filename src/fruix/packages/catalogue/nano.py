"""Small editor."""

from fruix.packages.catalogue.file import package as file
from fruix.packages.catalogue.ncurses import package as ncurses
from fruix.packages.catalogue.pkgconf import package as pkgconf
from fruix.packages.package import Origin, Package

package = Package(
    name="nano",
    version="8.4",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/n/nano/nano_8.4.orig.tar.xz",
            "mirror://gnu/nano/nano-8.4.tar.xz",
        ),
        sha256="5ad29222bbd55624d87ea677928b3106a743114d6c6f9b41f36c97be2a8e628d",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-nls",), "tests": False},
    inputs=(file, ncurses),
    native_inputs=(pkgconf,),
    untested={"*": "upstream has no test suite"},
    synopsis="Small editor",
    description="nano edits text in a terminal, and shows its keys at the bottom.",
    license="GPL-3.0-or-later",
    home_page="https://www.nano-editor.org/",
)
