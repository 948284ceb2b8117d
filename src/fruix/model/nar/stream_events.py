"""What a NAR says, in the order in which it says it.

A file is `FileStart`, any number of `FileData`, `FileEnd`; a directory is `DirectoryStart`, then
`Entry` and a node for each entry, `DirectoryEnd`; a symlink is one event. A reader that was told so
(`whole_files`) says all of a small file that is an entry at once: `WholeFile`.
"""

from __future__ import annotations

from fruix.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class FileStart:
    """A regular file of `size` bytes."""

    executable: bool
    size: int


@dataclass(frozen=True, slots=True)
class FileData:
    """Some of its bytes: a view of what was fed, which has to stay as it is for as long as this is kept."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class FileEnd:
    """All of it was there."""


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symlink (1 to 4095 bytes, no NUL)."""

    target: bytes


@dataclass(frozen=True, slots=True)
class DirectoryStart:
    """A directory begins: entries follow, in order of their names, then `DirectoryEnd`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The node that follows has this name (1 to 255 bytes, no slash, no NUL, not `.` or `..`)."""

    name: bytes


@dataclass(frozen=True, slots=True)
class DirectoryEnd:
    """The directory that began last is complete."""


@dataclass(frozen=True, slots=True)
class WholeFile:
    """An entry that is a regular file.

    Its name, and all of its bytes as a view of what was fed.
    """

    name: bytes
    executable: bool
    data: memoryview


Event = FileStart | FileData | FileEnd | Symlink | DirectoryStart | Entry | DirectoryEnd | WholeFile
