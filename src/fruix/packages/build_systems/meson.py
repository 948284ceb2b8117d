"""Meson and Ninja, both from the catalogue, run by the Python of the host view `base+python`.

Arguments: `configure_flags` (for `meson setup`), `source_directory` (below the source's top), `build_type`, `tests`, `count_tests`, `parallel`, `phases`,
`environment`. Meson edits run paths when it installs, but takes away only those that it has put in itself.
"""

from __future__ import annotations

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.finish import finish
from fruix.packages.build_systems.recipe import Recipe, changed, environment_of, quoted, read_arguments
from fruix.packages.build_systems.unpack import PATCH, UNPACK
from fruix.packages.package import Package

HOST_VIEW = "base+python"
TOOLS = ("meson", "ninja")
DEFAULTS = {
    "configure_flags": (),
    "source_directory": ".",
    "build_type": "release",
    "tests": True,
    "count_tests": (),
    "parallel": True,
    "phases": lambda phases: phases,
    "environment": {},
}


def recipe(package: Package) -> Recipe:
    """The standard phases with the package's changes."""
    arguments = read_arguments(package, DEFAULTS)
    jobs = '-j "$NIX_BUILD_CORES"' if arguments["parallel"] else "-j 1"
    flags = (
        "--prefix=$out",
        "--libdir=lib",
        f"--buildtype={arguments['build_type']}",
        "--wrap-mode=nodownload",
        *arguments["configure_flags"],
    )
    configure = f"meson setup ../build-tree {quoted(arguments['source_directory'])} " + " ".join(
        map(quoted, flags)
    )
    test = "meson test -C ../build-tree --no-rebuild --print-errorlogs"
    items = [
        ("set-up-linker", linker.SET_UP),
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", configure),
        ("build", f"ninja -C ../build-tree {jobs}"),
        ("check", check(package, test, arguments["count_tests"])),
        ("install", "meson install -C ../build-tree --no-rebuild"),
        *finish(package),
    ]
    return Recipe(changed(items, arguments), environment_of(arguments))
