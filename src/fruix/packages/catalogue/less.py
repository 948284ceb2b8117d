"""Pager."""

from fruix.packages.catalogue.ncurses import package as ncurses
from fruix.packages.package import Origin, Package

package = Package(
    name="less",
    version="668",
    source=Origin(
        urls=("mirror://debian/pool/main/l/less/less_668.orig.tar.gz", "mirror://gnu/less/less-668.tar.gz"),
        sha256="2819f55564d86d542abbecafd82ff61e819a3eec967faa36cd3e68f1596a44b8",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "count_tests": (r"^PASS: ", r"^FAIL: "),
        # The suite builds a program of its own, which must not be what is installed.
        "phases": lambda phases: phases.insert_before(
            "check",
            "enter-copy",
            "cp -Rp . ../tested\ncd ../tested\nrm lesstest/lt/chinese1.lt lesstest/lt/utf8-2.txt.lt",
        ).insert_after("check", "leave-copy", 'cd "$OLDPWD"'),
    },
    inputs=(ncurses,),
    untested={
        "chinese1, utf8-2.txt": "they want the locale en_US.UTF-8, and clear the variable that leads to it"
    },
    synopsis="Pager",
    description="less shows text a screen at a time, forwards and backwards.",
    license="GPL-3.0-or-later OR BSD-2-Clause",
    home_page="https://www.greenwoodsoftware.com/less/",
)
