"""Finds the flags that libraries want."""

from fruix.packages.package import Origin, Package

package = Package(
    name="pkgconf",
    version="1.8.1",
    source=Origin(
        # Debian's own archive of upstream's release: upstream's has another hash.
        urls=("mirror://debian/pool/main/p/pkgconf/pkgconf_1.8.1.orig.tar.xz",),
        sha256="644361ada2942be05655d4452eb018791647c31bba429b287f1f68deb2dc6840",
    ),
    build_system="gnu",
    root="debian-12+kyua",  # of its tests
    host_view="base",
    arguments={
        "configure_flags": (
            "--disable-static",
            "--with-system-libdir=/usr/lib:/lib",
            "--with-system-includedir=/usr/include",
        ),
        "environment": {"HOME": "/build"},  # where Kyua writes down what came of them
        "count_tests": (r"  ->  passed ", r"  ->  (failed|broken)"),
        "phases": lambda phases: phases.insert_after(
            "install", "name-pkg-config", 'ln -s pkgconf "$out/bin/pkg-config"'
        ),
    },
    synopsis="Finds the flags that libraries want",
    description=(
        "pkgconf reads the .pc files of libraries and says what compilers and linkers need to use"
        " them. It serves as pkg-config, too."
    ),
    license="ISC",
    home_page="http://pkgconf.org/",
)
