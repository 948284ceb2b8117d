"""Build system."""

from fruix.packages.build_systems.shared_phases import RECORD_SOURCE, UNPACK
from fruix.packages.package import Origin, Package

# Meson runs as it is, from any directory: no need of its own build backend.
_INSTALL = f"""{UNPACK}
site=$out/lib/python3/site-packages
mkdir -p "$site" "$out/bin" "$out/share/man/man1"
cp -R mesonbuild "$site/"
cp man/meson.1 "$out/share/man/man1/"
{{
    echo "#!$(command -v python3)"
    echo 'import sys'
    echo "sys.path.insert(1, '$site')"
    echo 'from mesonbuild.mesonmain import main'
    echo 'sys.exit(main())'
}} > "$out/bin/meson"
chmod +x "$out/bin/meson"

{RECORD_SOURCE}"""

package = Package(
    name="meson",
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
    # Its first line names /usr/bin/python3, which the roots of the builds that run it have.
    root="debian-12+c+++cmake+python",
    host_view="base+python",
    untested={"*": "not run: upstream's tests are builds with compilers of many languages"},
    synopsis="Build system",
    description="Meson describes a build in a small language and writes Ninja's rules for it.",
    license="Apache-2.0",
    home_page="https://mesonbuild.com/",
)
