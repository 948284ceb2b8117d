"""Runs the commands of a build."""

from fruix.packages.catalogue.googletest import package as googletest
from fruix.packages.package import Origin, Package

# CMake looks among the inputs, and this is one of the tests alone.
_FIND = 'CMAKE_PREFIX_PATH=$(grep -e -googletest- "$nativeInputsPath")\nexport CMAKE_PREFIX_PATH'

package = Package(
    name="ninja",
    version="1.12.1",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/n/ninja-build/ninja-build_1.12.1.orig.tar.gz",),
        sha256="821bdff48a3f683bc4bb3b6f0b5fe7b2d647cf65d52aeb63328c91a6c6df285a",
    ),
    build_system="cmake",
    arguments={"phases": lambda phases: phases.insert_before("configure", "find-googletest", _FIND)},
    native_inputs=(googletest,),
    synopsis="Runs the commands of a build",
    description="Ninja reads rules that other programs have written and runs what is out of date.",
    license="Apache-2.0",
    home_page="https://ninja-build.org/",
)
