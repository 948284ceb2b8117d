"""Edits text as it passes."""

from fruix.packages.package import Origin, Package

package = Package(
    name="sed",
    version="4.9",
    source=Origin(
        urls=("mirror://debian/pool/main/s/sed/sed_4.9.orig.tar.xz", "mirror://gnu/sed/sed-4.9.tar.xz"),
        sha256="6e226b732e1cd739464ad6862bd1a1aba42d7982922da7a53519631d24975181",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-nls", "--disable-acl")},
    synopsis="Edits text as it passes",
    description="sed changes each line of its input by a short program.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/sed/",
)
