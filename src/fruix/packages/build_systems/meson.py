"""Meson and Ninja, both from the catalogue.

Meson is run by the Python of the root `debian-12+c+++cmake+python`, else of the host view `base+python`.

Arguments: `configure_flags` (for `meson setup`), `source_directory` (below the source's top),
`build_type`, `tests`, `count_tests`, `parallel`, `phases`, `environment`. Meson edits run paths
when it installs, but takes away only those that it has put in itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.packages.build_systems.recipe import Flags, Items, StandardArguments, quoted
from fruix.packages.build_systems.shared_phases import compiled, counted, shell_text

ROOT = "debian-12+c+++cmake+python"
HOST_VIEW = "base+python"
TOOLS = ("meson-without-python", "ninja")


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """Arguments of packages with a `meson.build`."""

    configure_flags: Flags = ()
    source_directory: str = "."
    build_type: str = "release"
    parallel: bool = True


def phases(arguments: Arguments, outputs: Sequence[str]) -> Items:
    """The standard phases; they build in `../build-tree`."""
    jobs = '-j "$NIX_BUILD_CORES"' if arguments.parallel else "-j 1"
    flags = (
        "--prefix=$out",
        "--libdir=lib",
        f"--buildtype={arguments.build_type}",
        "--wrap-mode=nodownload",
        *arguments.configure_flags,
    )
    source = quoted(arguments.source_directory)
    test = "meson test -C ../build-tree --no-rebuild --print-errorlogs"
    linker, *others = compiled(
        outputs,
        configure=" ".join([f"meson setup ../build-tree {source}", *map(quoted, flags)]),
        build=f"ninja -C ../build-tree {jobs}",
        check=counted(test, arguments.count_tests),
        install="meson install -C ../build-tree --no-rebuild",
    )
    return [linker, ("set-up-meson", shell_text("set_up_meson.sh")), *others]
