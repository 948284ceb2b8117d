"""Build backend for Python packages."""

from fruix.packages.package import Origin, Package

package = Package(
    name="flit-core",
    version="3.12.0",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/f/flit/flit_3.12.0.orig.tar.gz",),
        sha256="1c80f34dd96992e7758b40423d2809f48f640ca285d0b7821825e50745ec3740",
    ),
    # It could build itself, but as modules alone it needs nothing of what needs it.
    build_system="copy",
    root="debian-12+c+++cmake+python",
    host_view="base",
    arguments={"install": [("flit_core/flit_core", "lib/python3/site-packages/flit_core")]},
    untested={"*": "upstream's tests need pytest, which is not packaged"},
    synopsis="Build backend for Python packages",
    description="flit-core makes wheels of simple packages.",
    license="BSD-3-Clause",
    home_page="https://flit.pypa.io/",
)
