"""Macro processor."""

from fruix.packages.build_systems.shared_phases import GNULIB_LOCALES, locales
from fruix.packages.package import Origin, Package

_LOCALES = locales(*GNULIB_LOCALES)

package = Package(
    name="m4",
    version="1.4.19",
    source=Origin(
        urls=("mirror://debian/pool/main/m/m4/m4_1.4.19.orig.tar.xz", "mirror://gnu/m4/m4-1.4.19.tar.xz"),
        sha256="63aede5c6d33b6d9b13511cd0be2cac046f2e70fd0a07aa9573a04a82783af96",
    ),
    build_system="gnu",
    root="debian-12+locales",  # of its tests
    host_view="base",
    arguments={
        "configure_flags": ("--disable-nls",),
        "phases": lambda phases: phases.insert_before("configure", "make-locales", _LOCALES).insert_before(
            "check", "leave-out-checks", "rm checks/198.sysval"
        ),
        # The suite of m4 itself; Automake's summary is of the library's.
        "count_tests": (r"^Checking ", r" mismatch$"),
    },
    untested={
        "checks/198.sysval": "dash, the root's shell, says on standard error that its child was killed"
    },
    synopsis="Macro processor",
    description="m4 copies text and expands macros as it goes.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/m4/",
)
