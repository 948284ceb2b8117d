"""Archives of files."""

from fruix.packages.package import Origin, Package

package = Package(
    name="tar",
    version="1.35",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/t/tar/tar_1.35+dfsg.orig.tar.xz",),
        sha256="9ae57e981c1e73c0eebc2b26c9b0c4497fe310ef1d516ea430efb5470b71f7a8",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": ("--disable-nls",),
        "count_tests": (r"^ *[0-9]+: .* ok$", r"^ *[0-9]+: .* FAILED"),
    },
    synopsis="Archives of files",
    description="GNU tar packs directories into archives, and unpacks those of many kinds.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/tar/",
)
