"""Shell."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.readline import package as readline
from fruix.packages.package import Origin, Package

package = Package(
    name="bash",
    version="5.2.37",
    source=Origin(
        # Debian's own archive of upstream's release: upstream's has another hash.
        urls=("mirror://debian/pool/main/b/bash/bash_5.2.37.orig.tar.xz",),
        sha256="370704c9c859f4060b7df19055e43bb9b5fa09d887699cf6ba87885c5485d36a",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": (
            "--disable-nls",
            "--without-bash-malloc",
            "--with-installed-readline",
            "--with-curses",
        ),
        "tests": False,
    },
    inputs=(dash, readline),
    untested={"*": "upstream's suite prints differences for people to judge and never fails"},
    synopsis="Shell",
    description="Bash reads commands from people and scripts and runs them.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/bash/",
)
