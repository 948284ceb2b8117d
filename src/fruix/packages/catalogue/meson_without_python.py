"""Build system, run by whichever Python there is."""

from fruix.packages.build_systems.shared_phases import RECORD_SOURCE, UNPACK
from fruix.packages.package import Origin, Package

# Meson runs as it is, from any directory: no need of its own build backend.
_INSTALL = f"""{UNPACK}
mkdir -p "$out/share/meson" "$out/share/man/man1"
cp -R mesonbuild "$out/share/meson/"
cp meson.py "$out/share/meson/"
chmod -x "$out/share/meson/meson.py"
cp man/meson.1 "$out/share/man/man1/"

{RECORD_SOURCE}"""

package = Package(
    name="meson-without-python",
    version="1.0.1",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/m/meson/meson_1.0.1.orig.tar.gz",
            "https://github.com/mesonbuild/meson/releases/download/1.0.1/meson-1.0.1.tar.gz",
        ),
        sha256="d926b730de6f518728cc7c57bc5e701667bae0c3522f9e369427b2cc7839d3c1",
    ),
    build_system="trivial",
    arguments={"script": _INSTALL},
    root="debian-12",
    host_view="base",
    untested={"*": "not run: upstream's tests are builds with compilers of many languages"},
    synopsis="Build system, run by whichever Python there is",
    description=(
        "Meson describes a build in a small language and writes Ninja's rules for it. Here is what the build "
        "system meson runs with the Python of its root: no package that is built by it has to wait for a "
        "Python of the store. The command is `python3 share/meson/meson.py`."
    ),
    license="Apache-2.0",
    home_page="https://mesonbuild.com/",
)
