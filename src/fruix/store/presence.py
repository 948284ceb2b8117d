"""Whether what an open store rests on is still there under its names.

Somebody may delete the store or its state below a running daemon (test suites do so between two
cases), move them away, unmount them, or mount something over them. Descriptors and SQLite's
connections then still work, on files that nobody else sees.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


class Presence:
    """Files and directories, as they were found when the store was opened."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: absolute, of what is there now."""
        self._found = [(name, _identity(name)) for name in names]

    def lost(self) -> str:
        """The first name that is gone, or another one's now; empty if none is. Cost: 1 µs a name."""
        for name, identity in self._found:
            if _identity(name) != identity:
                return name
        return ""


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_dev, status.st_ino
