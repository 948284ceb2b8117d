"""What SQLite's errors mean to an operator: what is wrong, where, and what to do next.

A full disk shows itself by several codes: `SQLITE_FULL` where a page of the file can't be written,
`SQLITE_IOERR` where the shared memory beside the log can't grow, `SQLITE_CANTOPEN` where the log can't be
made. So for those the disk itself is asked. The codes are SQLite's (https://sqlite.org/rescode.html).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping

from fruix.errors import FruixError, NoSpaceError, StoreError

MIB = 1 << 20
FREE_SPACE = "free some space there: 'fruix gc' deletes what nothing needs"
REBUILD = (
    "stop the daemon, then either bring back a copy of the database, or make it again from what lies in "
    "the store: 'fruix store rebuild-database' (the old one is kept beside it)"
)
# What SQLite wants at once where its files grow; with less a disk is as good as full.
_LEAST = 64 << 10
_DISK = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})

# Primary code of SQLite → what is said besides its own text, and what to do.
_BUSY = (
    "another program has locked it",
    "end what reads or copies the database ('fuser' names it), then ask again",
)
_DAMAGED = ("it is damaged", REBUILD)
_TEXTS: Mapping[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: ("it can't be read or written", "look at the disk and at the kernel's messages"),
    sqlite3.SQLITE_CANTOPEN: (
        "it can't be opened",
        "look at the files' owner and mode, and at the limit on open files",
    ),
    sqlite3.SQLITE_READONLY: (
        "it can't be written",
        "look at the files' owner and mode, and at how the disk is mounted",
    ),
}
_OTHER = (
    "",
    "look at the disk (space, errors) and at the database's files; 'fruix store verify' checks the store",
)


def explanation(error: sqlite3.Error, file: str) -> FruixError:
    """The error that readers get for one of SQLite's.

    Args:
        error: as `sqlite3` raised it.
        file: the database's.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    directory = os.path.dirname(file)
    if code == sqlite3.SQLITE_FULL or (code in _DISK and is_full(directory)):
        return NoSpaceError(
            f"the database can't grow: {free_text(directory)}", where=directory, hint=FREE_SPACE
        )
    what, hint = _TEXTS.get(code, _OTHER)
    return StoreError(f"database: {what} ({error})" if what else f"database: {error}", where=file, hint=hint)


def is_full(directory: str) -> bool:
    """Whether nothing more can be written to the disk of a directory, or no file made."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return False
    no_files = status.f_files and not status.f_favail
    return bool(no_files) or status.f_bavail * status.f_frsize < _LEAST


def free_text(directory: str) -> str:
    """What is free on a disk, in words."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return "no space is left on its disk"
    if status.f_files and not status.f_favail:
        return "no more files can be made on its disk"
    return f"{status.f_bavail * status.f_frsize / MIB:.1f} MiB are free on its disk"
