"""Finds differences between files."""

from fruix.packages.build_systems.shared_phases import GNULIB_LOCALES, locales
from fruix.packages.package import Origin, Package

_LOCALES = locales(*GNULIB_LOCALES)

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
    root="debian-12+locales+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "configure_flags": ("--disable-nls",),
        "phases": lambda phases: phases.insert_before("configure", "make-locales", _LOCALES),
    },
    synopsis="Finds differences between files",
    description="diff, diff3, sdiff and cmp compare files and directories.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/diffutils/",
)
