"""Finds lines that match."""

from fruix.packages.build_systems.shared_phases import GNULIB_LOCALES, locales
from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.pcre2 import package as pcre2
from fruix.packages.catalogue.pkgconf import package as pkgconf
from fruix.packages.package import Origin, Package

_LOCALES = locales(*GNULIB_LOCALES, "cs_CZ", "ja_JP.SHIFT_JIS", "ru_RU.KOI8-R")

package = Package(
    name="grep",
    version="3.11",
    source=Origin(
        urls=("mirror://debian/pool/main/g/grep/grep_3.11.orig.tar.xz", "mirror://gnu/grep/grep-3.11.tar.xz"),
        sha256="1db2aedde89d0dea42b16d9528f894c8d15dae4e190b59aecc78f5a951276eab",
    ),
    build_system="gnu",
    root="debian-12+locales+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "configure_flags": ("--disable-nls", "--enable-perl-regexp"),
        "phases": lambda phases: phases.insert_before("configure", "make-locales", _LOCALES).insert_after(
            "install",
            "name-grep",
            'sed -i "s|exec grep|exec $out/bin/grep|" "$out/bin/egrep" "$out/bin/fgrep"',
        ),
    },
    inputs=(dash, pcre2),
    native_inputs=(pkgconf,),
    synopsis="Finds lines that match",
    description="grep prints the lines of its input that match a regular expression.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/grep/",
)
