"""Installs wheels of Python packages."""

from fruix.packages.package import Origin, Package

package = Package(
    name="python-installer",
    version="0.7.0",
    source=Origin(
        # Debian's own archive, without the programs for Windows that upstream's has.
        urls=("mirror://debian/pool/main/p/python-installer/python-installer_0.7.0+dfsg1.orig.tar.xz",),
        sha256="2cdecf9a21045627a00fb0039946bff60103689249f691c49a26dc6c71546617",
    ),
    # Every package with the build system python needs it, so it can't be one.
    build_system="copy",
    root="debian-12+c+++cmake+python",
    host_view="base",
    arguments={"install": [("src/installer", "lib/python3/site-packages/installer")]},
    untested={"*": "upstream's tests need pytest, which is not packaged"},
    synopsis="Installs wheels of Python packages",
    description=(
        "installer puts the files of a wheel where they belong and writes launchers for its programs."
    ),
    license="MIT",
    home_page="https://installer.readthedocs.io/",
)
