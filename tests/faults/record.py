"""What `shim.c` records: changes to files, in the order in which they were made."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_HEAD = struct.Struct("=IIQQQQQ")


class What(IntEnum):
    """As in the enum of `shim.c`."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    RENAME = 4
    EXCHANGE = 5
    LINK = 6
    UNLINK = 7
    MKDIR = 8
    RMDIR = 9
    SYMLINK = 10
    MODE = 11
    SYNC = 12
    SYNC_ALL = 13
    NOTE = 14


@dataclass(frozen=True, slots=True)
class Change:
    """One change; names are relative to the root, `""` is the root itself.

    `inode`: of what is changed, where it has one; numbers are used again for later files.
    """

    what: What
    mode: int
    inode: int
    offset: int
    first: str
    second: str
    data: bytes


def read(file: Path, root: str) -> list[Change]:
    """All changes of a record, without those of what doesn't matter after a power cut.

    That is SQLite's shared memory, which is made anew.
    """
    data, position, changes = file.read_bytes(), 0, []
    unwatched: set[int] = set()
    while position < len(data):
        what, mode, inode, offset, *lengths = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        parts = []
        for length in lengths:
            parts.append(data[position : position + length])
            position += length
        first, second = (_short(part, root, what) for part in parts[:2])
        if what == What.CREATE:
            unwatched = unwatched | {inode} if first.endswith("-shm") else unwatched - {inode}
        if inode in unwatched or first.endswith("-shm"):
            continue
        changes.append(Change(What(what), mode, inode, offset, first, second, parts[2]))
    return changes


def _short(name: bytes, root: str, what: int) -> str:
    text = name.decode(errors="surrogateescape")
    if what == What.NOTE or not text.startswith(root):
        return text  # a note, or the target of a symbolic link
    return text[len(root) + 1 :]
