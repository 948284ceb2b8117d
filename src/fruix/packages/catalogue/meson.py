"""Build system."""

from fruix.packages.catalogue.meson_without_python import package as meson_without_python
from fruix.packages.catalogue.python import package as python
from fruix.packages.package import Package

_INSTALL = """
meson=$(grep -e -meson-without-python- "$inputsPath")
mkdir -p "$out/bin" "$out/share/man/man1"
cp "$meson/share/man/man1/meson.1" "$out/share/man/man1/"
{
    echo "#!$(command -v python3)"
    echo 'import sys'
    echo "sys.path.insert(1, '$meson/share/meson')"
    echo 'from mesonbuild.mesonmain import main'
    echo 'sys.exit(main())'
} > "$out/bin/meson"
chmod +x "$out/bin/meson"
"""

package = Package(
    name="meson",
    version=meson_without_python.version,
    build_system="trivial",
    arguments={"script": _INSTALL},
    inputs=(meson_without_python, python),
    root="debian-12",
    host_view="base",
    untested=meson_without_python.untested,
    synopsis="Build system",
    description="Meson describes a build in a small language and writes Ninja's rules for it.",
    license="Apache-2.0",
    home_page="https://mesonbuild.com/",
)
