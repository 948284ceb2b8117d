"""Installs wheels of Python packages."""

from fruix.packages.build_systems.shared_phases import RECORD_SOURCE, UNPACK, run_pytest
from fruix.packages.package import Origin, Package

# But for those of the launchers that Debian's archive leaves out.
_TESTED = "tests --deselect 'tests/test_scripts.py::test_script_generate_launcher['"

# Every package with the build system python needs it, so it can't be one.
_INSTALL = f"""{UNPACK}
mkdir -p "$out/lib/python3/site-packages"
cp -R src/installer "$out/lib/python3/site-packages/"
{run_pytest(_TESTED)}
{RECORD_SOURCE}"""

package = Package(
    name="python-installer",
    version="0.7.0",
    source=Origin(
        # Debian's own archive, without the programs for Windows that upstream's has.
        urls=("mirror://debian/pool/main/p/python-installer/python-installer_0.7.0+dfsg1.orig.tar.xz",),
        sha256="2cdecf9a21045627a00fb0039946bff60103689249f691c49a26dc6c71546617",
    ),
    build_system="trivial",
    arguments={"script": _INSTALL},
    root="debian-12+pytest",
    host_view="base",
    untested={"test_script_generate_launcher": "of programs for Windows, which Debian's archive leaves out"},
    synopsis="Installs wheels of Python packages",
    description=(
        "installer puts the files of a wheel where they belong and writes launchers for its programs."
    ),
    license="MIT",
    home_page="https://installer.readthedocs.io/",
)
