"""Modules of the standard library that not every Python has.

The tables say what Fruix needs each for; the doctor shows a line about each table.

They are built against libraries that may be missing, or are packages of their own (FreeBSD's
`py311-sqlite3`). Nothing here imports one unless it is asked to look.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

from fruix.sandbox.capabilities import Probe

NEEDED: Mapping[str, str] = {
    "sqlite3": "the store's database",
    "zlib": "build logs",
    "ctypes": "system calls",
    "termios": "terminals",
}
EXTRAS: Mapping[str, str] = {
    "ssl": "downloads by https",
    "lzma": "unpacking what xz has packed",
    "bz2": "unpacking what bzip2 has packed",
}
REMEDY = "install a Python that has it (FreeBSD: pkg install py311-sqlite3 and the like)"


def probes() -> Sequence[Probe]:
    """The first lines of the doctor's, on every system."""
    return (
        Probe("python", lambda: _look(NEEDED), REMEDY, in_child=False),
        Probe("python extras", lambda: _look(EXTRAS), REMEDY, needed=False, in_child=False),
    )


def missing(names: Mapping[str, str]) -> list[str]:
    """Those that can't be imported, in the order of the table."""
    found = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            found.append(name)
    return found


def _look(names: Mapping[str, str]) -> str:
    version = sys.version.split()[0]
    if lacking := missing(names):
        raise OSError(f"Python {version} lacks " + ", ".join(f"{name} ({names[name]})" for name in lacking))
    return f"Python {version} with {', '.join(names)}"
