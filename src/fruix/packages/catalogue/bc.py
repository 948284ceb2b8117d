"""Calculator of any precision."""

from fruix.packages.catalogue.ed import package as ed
from fruix.packages.catalogue.flex import package as flex
from fruix.packages.catalogue.readline import package as readline
from fruix.packages.package import Origin, Package

package = Package(
    name="bc",
    version="1.07.1",
    source=Origin(
        urls=("mirror://debian/pool/main/b/bc/bc_1.07.1.orig.tar.gz", "mirror://gnu/bc/bc-1.07.1.tar.gz"),
        sha256="62adfca89b0a1c0164c2cdca59ca210c1d44c3ffc46daf9931cf4942664cb02a",
    ),
    build_system="gnu",
    arguments={"configure_flags": ("--with-readline",), "make_flags": ("MAKEINFO=true",), "tests": False},
    inputs=(readline,),
    native_inputs=(ed, flex),
    untested={"*": "upstream's tests are timings for people to look at"},
    synopsis="Calculator of any precision",
    description=(
        "bc is a language for computing with numbers of any length, and dc a calculator in "
        "reverse Polish notation."
    ),
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/bc/",
)
