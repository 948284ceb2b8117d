"""Writes programs that recognise words."""

from fruix.packages.catalogue.bison import package as bison
from fruix.packages.catalogue.m4 import package as m4
from fruix.packages.package import Origin, Package

package = Package(
    name="flex",
    version="2.6.4",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/f/flex/flex_2.6.4.orig.tar.gz",
            "https://github.com/westes/flex/releases/download/v2.6.4/flex-2.6.4.tar.gz",
        ),
        sha256="e87aae032bf07c26f85ac0ed3250998c37621d95f8bd748b31f15b33c45ee995",
    ),
    build_system="gnu",
    root="debian-12+c++",  # some of its tests are in C++
    host_view="base",
    arguments={
        # Else reallocarray is not declared, and its result is cut to 32 bits.
        "configure_flags": ("--disable-nls", "CFLAGS=-g -O2 -D_GNU_SOURCE"),
    },
    # What flex writes goes through m4 whenever it runs.
    propagated_inputs=(m4,),
    native_inputs=(bison,),
    synopsis="Writes programs that recognise words",
    description="flex makes scanners in C from regular expressions.",
    license="BSD-2-Clause",
    home_page="https://github.com/westes/flex",
)
