"""Finds differences between files."""

from fruix.packages.package import Origin, Package

package = Package(
    name="diffutils",
    version="3.10",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/d/diffutils/diffutils_3.10.orig.tar.xz",
            "mirror://gnu/diffutils/diffutils-3.10.tar.xz",
        ),
        sha256="90e5e93cc724e4ebe12ede80df1634063c7a855692685919bfe60b556c9bd09e",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-nls",)},
    synopsis="Finds differences between files",
    description="diff, diff3, sdiff and cmp compare files and directories.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/diffutils/",
)
