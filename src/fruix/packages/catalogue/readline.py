"""Line editing for programs that read commands."""

from fruix.packages.catalogue.ncurses import package as ncurses
from fruix.packages.package import Origin, Package

package = Package(
    name="readline",
    version="8.2",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/r/readline/readline_8.2.orig.tar.gz",
            "mirror://gnu/readline/readline-8.2.tar.gz",
        ),
        sha256="3feb7171f16a84ee82ca18a36d7b9be109a52c04f492a053331d7d1095007c35",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": ("--with-curses", "--disable-install-examples"),
        "make_flags": ("SHLIB_LIBS=-lncursesw",),
        "tests": False,
    },
    propagated_inputs=(ncurses,),
    untested={"*": "upstream has no test suite"},
    synopsis="Line editing for programs that read commands",
    description="readline lets people edit the lines that they type, with a history of former ones.",
    license="GPL-3.0-or-later",
    home_page="https://tiswww.case.edu/php/chet/readline/rltop.html",
)
