"""Small shell."""

from fruix.packages.package import Origin, Package

package = Package(
    name="dash",
    version="0.5.12",
    source=Origin(
        urls=("mirror://debian/pool/main/d/dash/dash_0.5.12.orig.tar.gz",),
        sha256="6a474ac46e8b0b32916c4c60df694c82058d3297d8b385b74508030ca4a8f28a",
    ),
    build_system="gnu",
    arguments={
        "tests": False,
        "phases": lambda phases: phases.insert_after(
            "install", "name-sh", 'ln -s dash "$out/bin/sh" && ln -s dash.1 "$out/share/man/man1/sh.1"'
        ),
    },
    untested={"*": "upstream has no test suite"},
    synopsis="Small shell",
    description=(
        "dash is a POSIX shell that needs nothing but the C library. It serves as sh: scripts of other"
        " packages are run by it."
    ),
    license="BSD-3-Clause AND GPL-2.0-or-later",
    home_page="http://gondor.apana.org.au/~herbert/dash/",
)
