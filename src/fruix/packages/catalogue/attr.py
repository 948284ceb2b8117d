"""Extended attributes of files."""

from fruix.packages.package import Origin, Package

package = Package(
    name="attr",
    version="2.5.2",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/a/attr/attr_2.5.2.orig.tar.xz",
            "https://download.savannah.nongnu.org/releases/attr/attr-2.5.2.tar.xz",
        ),
        sha256="f2e97b0ab7ce293681ab701915766190d607a1dba7fae8a718138150b700a70b",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-nls", "--disable-static"), "tests": False},
    untested={"*": "upstream's tests set attributes that builders' file systems need not have"},
    synopsis="Extended attributes of files",
    description="attr has the library libattr, and programs that show and change attributes of files.",
    license="GPL-2.0-or-later AND LGPL-2.1-or-later",
    home_page="https://savannah.nongnu.org/projects/attr",
)
