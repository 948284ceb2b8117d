"""Writes Makefiles."""

from fruix.packages.catalogue.autoconf import package as autoconf
from fruix.packages.catalogue.perl import package as perl
from fruix.packages.package import Origin, Package

# Of its modules.
_TESTED = (
    *("Cond2", "Cond3", "Condition", "Condition-t", "DisjCon2", "DisjCon3", "DisjConditions"),
    *("DisjConditions-t", "General", "Version", "Version2", "Version3", "Wrap"),
)

package = Package(
    name="automake",
    version="1.17",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/a/automake-1.17/automake-1.17_1.17.orig.tar.xz",
            "mirror://gnu/automake/automake-1.17.tar.xz",
        ),
        sha256="8920c1fc411e13b90bf704ef9db6f29d540e76d232cb3b2c9f4dc4cc599bd990",
    ),
    build_system="gnu",
    arguments={"make_flags": (f"TESTS={' '.join(f't/pm/{name}.pl' for name in _TESTED)}",)},
    inputs=(perl,),
    propagated_inputs=(autoconf,),
    untested={"t/*.sh, t/*.tap": "thousands of small packages that are configured and built, for hours"},
    synopsis="Writes Makefiles",
    description="Automake makes Makefile.in of short descriptions, for packages that use Autoconf.",
    license="GPL-2.0-or-later",
    home_page="https://www.gnu.org/software/automake/",
)
