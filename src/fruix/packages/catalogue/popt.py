"""Reads a program's options."""

from fruix.packages.package import Origin, Package

package = Package(
    name="popt",
    version="1.19",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/p/popt/popt_1.19+dfsg.orig.tar.xz",),
        sha256="4cd0cd2963d0c4078f65949599d97135c15ee6c09cf3a36a9a1b2753025bb06b",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-nls", "--disable-static")},
    synopsis="Reads a program's options",
    description="popt parses command lines, with aliases and help made by itself.",
    license="MIT",
    home_page="https://github.com/rpm-software-management/popt",
)
