"""Tests of C++."""

from fruix.packages.package import Origin, Package

package = Package(
    name="googletest",
    version="1.16.0",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/g/googletest/googletest_1.16.0.orig.tar.gz",),
        sha256="2f54382b5d13d6cd0be2afc524f1e510d37f8ba78c2d439c5bea64ef37e30d01",
    ),
    build_system="cmake",
    arguments={"configure_flags": ("-DBUILD_SHARED_LIBS=ON",), "tests": False},
    untested={"*": "left out for their length: forty programs in C++"},
    synopsis="Tests of C++",
    description="GoogleTest is a library for tests of programs in C++; mocks are included.",
    license="BSD-3-Clause",
    home_page="https://google.github.io/googletest/",
)
