"""Meson and Ninja, both from the catalogue, run by the Python of the host view `base+python`.

Arguments: `configure_flags` (for `meson setup`), `source_directory` (below the source's top), `build_type`, `tests`, `count_tests`, `parallel`, `phases`,
`environment`. Meson edits run paths when it installs, but takes away only those that it has put in itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.finish import finish
from fruix.packages.build_systems.recipe import Flags, Items, StandardArguments, quoted
from fruix.packages.build_systems.unpack import PATCH, UNPACK

HOST_VIEW = "base+python"
TOOLS = ("meson", "ninja")


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """What it takes, beside `tests`, `count_tests`, `phases` and `environment`."""

    configure_flags: Flags = ()
    source_directory: str = "."
    build_type: str = "release"
    parallel: bool = True


def phases(arguments: Arguments, outputs: Sequence[str]) -> Items:
    """The standard phases."""
    jobs = '-j "$NIX_BUILD_CORES"' if arguments.parallel else "-j 1"
    flags = (
        "--prefix=$out",
        "--libdir=lib",
        f"--buildtype={arguments.build_type}",
        "--wrap-mode=nodownload",
        *arguments.configure_flags,
    )
    configure = f"meson setup ../build-tree {quoted(arguments.source_directory)} " + " ".join(
        map(quoted, flags)
    )
    test = "meson test -C ../build-tree --no-rebuild --print-errorlogs"
    return [
        ("set-up-linker", linker.SET_UP),
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", configure),
        ("build", f"ninja -C ../build-tree {jobs}"),
        ("check", check(test, arguments.count_tests)),
        ("install", "meson install -C ../build-tree --no-rebuild"),
        *finish(outputs),
    ]
