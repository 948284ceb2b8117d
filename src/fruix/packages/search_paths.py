"""Where a build finds what its inputs have: one row per variable, the directories of an input that go into it.

All rows are separated by colons. A row says whose directories it takes: `every` input's, or those of the inputs that the result uses too
(programs that only run during the build have no business among headers and libraries). The builder sets them (`build_systems.set_up`), as only it knows
which directories are there.
"""

from __future__ import annotations

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
