"""Finds files and does something with them."""

from fruix.packages.build_systems.shared_phases import GNULIB_LOCALES, locales
from fruix.packages.catalogue.dash import package as dash
from fruix.packages.package import Origin, Package

_LOCALES = locales(*GNULIB_LOCALES)

package = Package(
    name="findutils",
    version="4.10.0",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/f/findutils/findutils_4.10.0.orig.tar.xz",
            "mirror://gnu/findutils/findutils-4.10.0.tar.xz",
        ),
        sha256="1387e0b67ff247d2abde998f90dfbf70c1491391a59ddfecb8ae698789f0a4f5",
    ),
    build_system="gnu",
    root="debian-12+locales+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "configure_flags": ("--disable-nls", "--localstatedir=/var"),
        "phases": lambda phases: phases.insert_before("configure", "make-locales", _LOCALES),
    },
    inputs=(dash,),
    synopsis="Finds files and does something with them",
    description="find, xargs, and locate with its database.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/findutils/",
)
