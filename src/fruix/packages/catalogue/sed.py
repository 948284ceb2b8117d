"""Edits text as it passes."""

from fruix.packages.build_systems.shared_phases import GNULIB_LOCALES, locales
from fruix.packages.package import Origin, Package

_LOCALES = locales(*GNULIB_LOCALES, "el_GR.ISO-8859-7", "ja_JP.SHIFT_JIS", "ru_RU")

package = Package(
    name="sed",
    version="4.9",
    source=Origin(
        urls=("mirror://debian/pool/main/s/sed/sed_4.9.orig.tar.xz", "mirror://gnu/sed/sed-4.9.tar.xz"),
        sha256="6e226b732e1cd739464ad6862bd1a1aba42d7982922da7a53519631d24975181",
    ),
    build_system="gnu",
    root="debian-12+locales+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "configure_flags": ("--disable-nls", "--disable-acl"),
        "phases": lambda phases: phases.insert_before("configure", "make-locales", _LOCALES),
    },
    synopsis="Edits text as it passes",
    description="sed changes each line of its input by a short program.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/sed/",
)
