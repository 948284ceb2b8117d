"""Where a build finds what its inputs have: one row per variable, the directories of an input that go into it.

All rows are separated by colons. A row says whose directories it takes: `every` input's, or those of the inputs that the result uses too
(programs that only run during the build have no business among headers and libraries). Costs nothing at build time: the variables are
part of the derivation, so `fruix show` shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchPath:
    """One variable. A directory `""` is the whole output."""

    variable: str
    directories: tuple[str, ...]
    every: bool = False


SEARCH_PATHS = (
    SearchPath("PATH", ("bin", "sbin"), every=True),
    SearchPath("CPATH", ("include",)),
    SearchPath("LIBRARY_PATH", ("lib",)),
    SearchPath("PKG_CONFIG_PATH", ("lib/pkgconfig", "share/pkgconfig")),
    SearchPath("ACLOCAL_PATH", ("share/aclocal",), every=True),
    SearchPath("CMAKE_PREFIX_PATH", ("",)),
    SearchPath("PYTHONPATH", ("lib/python3/site-packages",), every=True),
)


def search_paths(target: Iterable[str], native: Iterable[str], host: Iterable[str]) -> Mapping[str, str]:
    """The variables for a build.

    Args:
        target: outputs of the inputs that the result uses too, in order, without repetitions.
        native: outputs of the inputs that only the build uses.
        host: directories of the host view's programs.

    Returns:
        Variable → value; `PATH` ends with the host view's directories, and variables that would be empty are left out.
    """
    own = tuple(target)
    everything = (*own, *native)
    found = {
        path.variable: ":".join(
            f"{output}/{directory}" if directory else output
            for output in (everything if path.every else own)
            for directory in path.directories
        )
        for path in SEARCH_PATHS
    }
    found["PATH"] = ":".join(filter(None, (found["PATH"], *host)))
    return {variable: value for variable, value in found.items() if value}
