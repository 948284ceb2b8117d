"""The programs of outputs: what lies in `bin` and `sbin` and can be executed.

Costs a directory read each, and a stat per file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from fruix.dataclass import dataclass

_DIRECTORIES = ("bin", "sbin")


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its name, and the absolute name of its file."""

    name: str
    file: str


def programs(outputs: Iterable[str]) -> list[Program]:
    """The programs of some outputs, sorted by name.

    Of several with the same name it is the first, as on a search path.
    """
    found: dict[str, Program] = {}
    for output in outputs:
        for directory in _DIRECTORIES:
            for name in _list(f"{output}/{directory}"):
                file = f"{output}/{directory}/{name}"
                if os.path.isfile(file) and os.access(file, os.X_OK):
                    found.setdefault(name, Program(name, file))
    return sorted(found.values(), key=lambda program: program.name)


def main_program(found: Sequence[Program], names: Iterable[str]) -> Program | None:
    """The program with the first of those names that there is, else the only one, or none."""
    by_name = {program.name: program for program in found}
    named = next((by_name[name] for name in names if name in by_name), None)
    return found[0] if named is None and len(found) == 1 else named


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
