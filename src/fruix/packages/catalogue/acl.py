"""Access control lists of files."""

from fruix.packages.catalogue.attr import package as attr
from fruix.packages.package import Origin, Package

package = Package(
    name="acl",
    version="2.3.2",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/a/acl/acl_2.3.2.orig.tar.xz",
            "https://download.savannah.nongnu.org/releases/acl/acl-2.3.2.tar.xz",
        ),
        sha256="97203a72cae99ab89a067fe2210c1cbf052bc492b479eca7d226d9830883b0bd",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-nls", "--disable-static"), "tests": False},
    inputs=(attr,),
    untested={"*": "upstream's tests set lists that builders' file systems need not have"},
    synopsis="Access control lists of files",
    description="acl has the library libacl, and programs that show and change lists of who may do what.",
    license="GPL-2.0-or-later AND LGPL-2.1-or-later",
    home_page="https://savannah.nongnu.org/projects/acl",
)
