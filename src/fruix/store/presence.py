"""Whether what an open store rests on is still there under its names.

Somebody may delete the store or its state below a running daemon (test suites do so between two
cases), move them away, unmount them, or mount something over them. Descriptors and SQLite's
connections then still work, on files that nobody else sees. Or all objects are deleted, and the
directory stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from fruix.store.database import Database
from fruix.store.leftovers import has_objects


class Presence:
    """Files and directories, as they were found when the store was opened."""

    def __init__(self, read: Iterable[str], needed: Iterable[str]) -> None:
        """Absolute names of what is there now.

        Args:
            read: what questions are answered from.
            needed: what is needed to change anything.
        """
        self._read = {name: _identity(name) for name in read}
        self._rows = [(name, *identity) for name, identity in self._read.items() if identity]
        self._needed = {name: _identity(name) for name in needed}

    def lost(self) -> str:
        """The first name that is gone, or another one's now; empty if none is.

        Cost: about 1 µs a name.
        """
        for name, identity in (self._read | self._needed).items():
            if _identity(name) != identity:
                return name
        return ""

    def is_readable(self) -> bool:
        """Whether what questions are answered from is there. Costs half a microsecond a name."""
        try:
            for name, device, inode in self._rows:
                status = os.stat(name)
                if status.st_ino != inode or status.st_dev != device:
                    return False
        except OSError:
            return False
        return len(self._rows) == len(self._read)


class Sample:
    """One object that shows that its store has not been emptied.

    It is the one that was newest when the last one had gone. Looking for it costs about 1 µs, and a
    query where it isn't there.
    """

    def __init__(self, store: int, database: Database, mark: Callable[[], int]) -> None:
        """Choose none yet.

        Args:
            store: the open store directory.
            database: knows its objects.
            mark: the newest row that is known to be on disk; 0: none is.
        """
        self._store = store
        self._database = database
        self._mark = mark
        self._name = ""

    def is_gone(self) -> bool:
        """Whether there should be objects, and there are none.

        A single one that is missing is damage, which can be repaired.
        """
        if self._is_there() if self._name else not self._mark():
            return False
        newest = self._database.newest_synced_path()
        self._name = newest.base if newest is not None else ""
        if not self._name or self._is_there() or has_objects(self._store, self._database.directory):
            return False
        return self._database.count() > 1

    def _is_there(self) -> bool:
        try:
            os.lstat(self._name, dir_fd=self._store)
        except FileNotFoundError:
            return False
        return True


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_dev, status.st_ino
