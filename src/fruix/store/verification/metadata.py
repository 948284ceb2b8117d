"""Modes, owners and times of store objects: whether they are as they should be, and mending them.

Files 0444 or 0555, directories 0555, the owner this process, modification time 1
(`outputs.canonical`). What contents can't tell is looked at here: the executable bit of a file is
part of its archive.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing

from fruix.store.tree.descriptors import open_file
from fruix.store.tree.metadata import DIRECTORY_MODE, MODIFIED, file_mode, finish_open, finish_symlink
from fruix.store.tree.walk import Kind, Node, walk

Difference = tuple[str, str]
"""What was found, and what should be there."""


def mode_of(status: os.stat_result) -> int:
    """The mode that an object of this type has; a symlink's own is not looked at."""
    if stat.S_ISLNK(status.st_mode):
        return stat.S_IMODE(status.st_mode)
    return DIRECTORY_MODE if stat.S_ISDIR(status.st_mode) else file_mode(bool(status.st_mode & 0o100))


def differences(status: os.stat_result) -> Iterator[Difference]:
    """Yield what is not as it should be."""
    found, right = stat.S_IMODE(status.st_mode), mode_of(status)
    if found != right:
        yield f"mode {found:04o}", f"{right:04o}"
    if status.st_uid != os.geteuid():
        yield f"owner {status.st_uid}", str(os.geteuid())
    if status.st_mtime_ns != MODIFIED * 10**9:
        yield f"modification time {status.st_mtime}", str(MODIFIED)


_RIGHT_MODES = {
    stat.S_IFDIR | DIRECTORY_MODE,
    *(stat.S_IFREG | file_mode(is_executable) for is_executable in (False, True)),
}


class MetadataCheck:
    """Looks at each node of a tree while it is read (`tree.plain_dump.Look`); changes nothing.

    Attributes:
        found: the first differences, each with the name of its file.
    """

    _MOST = 3

    def __init__(self, owner: int) -> None:
        """`owner`: this process's user."""
        self.found: list[Difference] = []
        self._owner = owner

    def is_right(self, status: os.stat_result) -> bool:
        """Whether there are no `differences`, as nearly always. Some 0.3 µs."""
        mode = status.st_mode
        return (
            status.st_mtime_ns == MODIFIED * 10**9
            and status.st_uid == self._owner
            and (mode in _RIGHT_MODES or stat.S_ISLNK(mode))
        )

    def note(self, status: os.stat_result, where: str) -> None:
        """Keep what is not as it should be; `where` is the file's name, "" for the object itself."""
        for found, right in differences(status):
            if len(self.found) < self._MOST:
                self.found.append((f"{found} of '{where}'" if where else found, right))


def mend_metadata(store: int, name: bytes) -> None:
    """Give a whole tree the metadata of a store object. Contents stay as they are.

    Raises:
        FruixError: something that can't be in a store.
        OSError: as the system says.
    """
    with closing(walk(store, name)) as nodes:
        for node in nodes:
            if node.kind is Kind.SYMLINK:
                _take_over(node)
                finish_symlink(node.parent, node.name, node.status.st_atime_ns)
            elif node.kind is Kind.FILE:
                _mend_file(node)
            elif node.kind is Kind.END:
                _take_over(node)
                finish_open(node.descriptor, DIRECTORY_MODE, node.status.st_atime_ns)


def _mend_file(node: Node) -> None:
    if not any(differences(node.status)):
        return
    descriptor = open_file(node.parent, node.name, node.status)
    try:
        _take_over(node)
        finish_open(descriptor, file_mode(node.is_executable), node.status.st_atime_ns)
    finally:
        os.close(descriptor)


def _take_over(node: Node) -> None:
    if node.status.st_uid != os.geteuid():
        os.chown(node.name, os.geteuid(), os.getegid(), dir_fd=node.parent, follow_symlinks=False)
