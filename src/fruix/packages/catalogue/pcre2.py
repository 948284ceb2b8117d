"""Regular expressions as in Perl."""

from fruix.packages.catalogue.bzip2 import package as bzip2
from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.readline import package as readline
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

package = Package(
    name="pcre2",
    version="10.42",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/p/pcre2/pcre2_10.42.orig.tar.gz",
            "https://github.com/PCRE2Project/pcre2/releases/download/pcre2-10.42/pcre2-10.42.tar.gz",
        ),
        sha256="c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": (
            "--disable-static",
            "--enable-jit",
            "--enable-pcre2grep-libbz2",
            "--enable-pcre2grep-libz",
            "--enable-pcre2test-libreadline",
        )
    },
    inputs=(bzip2, dash, readline, zlib),
    synopsis="Regular expressions as in Perl",
    description=(
        "PCRE2 is a library of functions that match by regular expressions of Perl's syntax and "
        "meaning, and the program pcre2grep."
    ),
    license="BSD-3-Clause",
    home_page="https://www.pcre.org/",
)
