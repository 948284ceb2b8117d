"""Line editing for programs that read commands, as in BSD."""

from fruix.packages.catalogue.ncurses import package as ncurses
from fruix.packages.package import Origin, Package

package = Package(
    name="libedit",
    version="3.1-20250104",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/libe/libedit/libedit_3.1-20250104.orig.tar.gz",
            "https://thrysoee.dk/editline/libedit-20250104-3.1.tar.gz",
        ),
        sha256="23792701694550a53720630cd1cd6167101b5773adddcb4104f7345b73a568ac",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-static", "--disable-examples"), "tests": False},
    inputs=(ncurses,),
    untested={"*": "upstream has no test suite"},
    synopsis="Line editing for programs that read commands, as in BSD",
    description="libedit lets people edit the lines that they type. It can serve in the place of readline.",
    license="BSD-3-Clause",
    home_page="https://www.thrysoee.dk/editline/",
)
