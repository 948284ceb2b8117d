"""Where a build finds what its inputs have: a row for each variable.

A row names the directories of an input that go into the variable.
All rows are separated by colons. A row says whose directories it takes: `every` input's, or those
of the inputs that the result uses too (programs that only run during the build have no business
among headers and libraries). The builder sets them (`shell/search_paths.sh`, which says
the same), as only it knows which directories are there.

Shells with packages (`fruix shell`) have the same rows and some more, for people
(`shell_environment`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from fruix.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SearchPath:
    """A variable and its directories below an input; `""` is the whole output.

    Attributes:
        otherwise: what programs take where the variable is not set, and would lose by its being set
            (`""`: an empty element stands for it).
    """

    variable: str
    directories: tuple[str, ...]
    every: bool = False
    otherwise: str | None = None


SEARCH_PATHS = (
    SearchPath("PATH", ("bin", "sbin"), every=True),
    SearchPath("CPATH", ("include",)),
    SearchPath("LIBRARY_PATH", ("lib",)),
    SearchPath("PKG_CONFIG_PATH", ("lib/pkgconfig", "share/pkgconfig")),
    SearchPath("ACLOCAL_PATH", ("share/aclocal",), every=True),
    SearchPath("CMAKE_PREFIX_PATH", ("",)),
    SearchPath("PYTHONPATH", ("lib/python3/site-packages",), every=True),
)

SHELL_PATHS = (
    *SEARCH_PATHS,
    # GNU's linker writes these directories into programs, so that they find the libraries when they
    # run.
    SearchPath("LD_RUN_PATH", ("lib",)),
    SearchPath("MANPATH", ("share/man",), otherwise=""),
    SearchPath("INFOPATH", ("share/info",), otherwise=""),
    SearchPath("XDG_DATA_DIRS", ("share",), otherwise="/usr/local/share:/usr/share"),
)

# What a pure shell keeps of the person's environment: who and where they are, and where they sit.
KEPT = (
    *("HOME", "USER", "LOGNAME", "SHELL"),
    *("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"),
)


def shell_environment(
    outputs: Iterable[str],
    base: Mapping[str, str],
    *,
    pure: bool = False,
    is_directory: Callable[[str], bool] = os.path.isdir,
) -> dict[str, str]:
    """The environment of a shell that finds the programs, libraries and documents of some outputs.

    Those of the first output are found first.

    Args:
        outputs: directories.
        base: the environment to begin with.
        pure: of it only `KEPT` stays, and nothing of the system is on `PATH`.
        is_directory: whether there is such a directory.
    """
    places = list(dict.fromkeys(outputs))
    found = {name: base[name] for name in KEPT if name in base} if pure else dict(base)
    if pure:
        found["PATH"] = ""
    for path in SHELL_PATHS:
        named = [f"{place}/{name}".rstrip("/") for place in places for name in path.directories]
        there = [name for name in named if is_directory(name)]
        if there:
            # An empty element of most variables is the current directory: none gets in where there
            # was nothing.
            before = found.get(path.variable) or (None if pure else path.otherwise)
            found[path.variable] = ":".join([*there, *([] if before is None else [before])])
    return found
