"""Build backend for Python packages."""

from fruix.packages.build_systems.shared_phases import RECORD_SOURCE, UNPACK, run_pytest
from fruix.packages.package import Origin, Package

# It could build itself, but as modules alone it needs nothing of what needs it.
_INSTALL = f"""{UNPACK}
cd flit_core
mkdir -p "$out/lib/python3/site-packages"
cp -R flit_core "$out/lib/python3/site-packages/"
{run_pytest("tests_core")}
cd ..
{RECORD_SOURCE}"""

package = Package(
    name="flit-core",
    version="3.12.0",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/f/flit/flit_3.12.0.orig.tar.gz",),
        sha256="1c80f34dd96992e7758b40423d2809f48f640ca285d0b7821825e50745ec3740",
    ),
    build_system="trivial",
    arguments={"script": _INSTALL},
    root="debian-12+pytest",
    host_view="base",
    synopsis="Build backend for Python packages",
    description="flit-core makes wheels of simple packages.",
    license="BSD-3-Clause",
    home_page="https://flit.pypa.io/",
)
