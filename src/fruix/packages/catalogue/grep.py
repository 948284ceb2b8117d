"""Finds lines that match."""

from fruix.packages.catalogue.pcre2 import package as pcre2
from fruix.packages.catalogue.pkgconf import package as pkgconf
from fruix.packages.package import Origin, Package

package = Package(
    name="grep",
    version="3.11",
    source=Origin(
        urls=("mirror://debian/pool/main/g/grep/grep_3.11.orig.tar.xz", "mirror://gnu/grep/grep-3.11.tar.xz"),
        sha256="1db2aedde89d0dea42b16d9528f894c8d15dae4e190b59aecc78f5a951276eab",
    ),
    build_system="gnu",
    host_view="base",  # not tried in the root yet
    arguments={"configure_flags": ("--disable-nls", "--enable-perl-regexp")},
    inputs=(pcre2,),
    native_inputs=(pkgconf,),
    synopsis="Finds lines that match",
    description="grep prints the lines of its input that match a regular expression.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/grep/",
)
