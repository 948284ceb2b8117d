"""Reader of INI files."""

from fruix.packages.package import Origin, Package

package = Package(
    name="inih",
    version="59",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/libi/libinih/libinih_59.orig.tar.gz",),
        sha256="062279922805f5e9a369551a08d5ddb506140fe50774183ffdbb7c22bb97e3f4",
    ),
    build_system="meson",
    arguments={"configure_flags": ("-Ddistro_install=true", "-Dwith_INIReader=true")},
    synopsis="Reader of INI files",
    description="inih parses INI files, from C by a callback and from C++ by a class.",
    license="BSD-3-Clause",
    home_page="https://github.com/benhoyt/inih",
)
