"""Loop of events."""

from fruix.packages.package import Origin, Package

package = Package(
    name="libev",
    version="4.33",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/libe/libev/libev_4.33.orig.tar.gz",
            "http://dist.schmorp.de/libev/Attic/libev-4.33.tar.gz",
        ),
        sha256="507eb7b8d1015fbec5b935f34ebed15bf346bed04a11ab82b8eee848c4205aea",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--disable-static",), "tests": False},
    untested={"*": "upstream has no test suite"},
    synopsis="Loop of events",
    description="libev waits for files, timers, signals and children, by the best means that a system has.",
    license="BSD-2-Clause OR GPL-2.0-or-later",
    home_page="http://software.schmorp.de/pkg/libev.html",
)
