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
    arguments={"tests": False},
    inputs=(ncurses,),
    untested={"*": "upstream's tests are run by a Perl program; the host view has no Perl"},
    synopsis="Pager",
    description="less shows text a screen at a time, forwards and backwards.",
    license="GPL-3.0-or-later OR BSD-2-Clause",
    home_page="https://www.greenwoodsoftware.com/less/",
)
