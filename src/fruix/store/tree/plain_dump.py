"""A tree as an archive (NAR) stream, as it is: the quick way, for trees that nobody changes meanwhile.

What `dump` gives without a preparation. Kinds come from the listing of the directory, so that a small file
takes four system calls (open, status, read, close) and no value for itself; some 8 µs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from fruix.errors import ObjectRejectedError
from fruix.model.nar import write
from fruix.model.text import shortened
from fruix.store.tree.descriptors import OPEN_DIRECTORY, OPEN_FILE, lstat, open_regular
from fruix.store.tree.file_contents import SizeBudget, at_once, contents
from fruix.store.tree.interruption import check_interrupt
from fruix.store.tree.open_directories import OpenDirectories
from fruix.store.tree.walk import MAX_ENTRIES

GATHER = 1 << 16  # bytes of structure and small files that go out together
_FILE, _DIRECTORY, _SYMLINK, _OTHER = range(4)
_KINDS = {stat.S_IFREG: _FILE, stat.S_IFDIR: _DIRECTORY, stat.S_IFLNK: _SYMLINK}
_LISTED = 1 << 12  # entries listed between two looks whether to go on
_UNSUPPORTED = "only regular files, directories and symlinks can be kept in the store"

Entries = list[tuple[bytes, int]]


class PlainDump:
    """One archive in the making."""

    def __init__(
        self, parent: int, name: bytes, where: str, max_depth: int, budget: SizeBudget | None
    ) -> None:
        """As for `dump`."""
        self._root = parent, name
        self._where = where or os.fsdecode(name)
        self._max_depth = max_depth
        self._budget = budget
        self._device = -1
        self._directories = OpenDirectories(parent)
        self._way: list[bytes] = []  # names of the directories below the root that are open
        # Of each open directory what is still to do, last first; the root stands in a list of its own.
        self._left: list[Entries] = []
        self._gathered = bytearray(write.MAGIC)

    def chunks(self) -> Iterator[bytes]:
        """The archive; see `dump`."""
        gathered, left = self._gathered, self._left
        parent, name = self._root
        root = lstat(parent, name)
        self._device = root.st_dev
        left.append([(name, _KINDS.get(stat.S_IFMT(root.st_mode), _OTHER))])
        try:
            while True:
                check_interrupt()
                if len(gathered) >= GATHER:
                    yield bytes(gathered)
                    gathered.clear()
                if not left[-1]:
                    left.pop()
                    if not left:
                        break
                    self._up()
                    continue
                name, kind = left[-1].pop()
                inside = len(left) > 1
                if inside:
                    gathered += write.entry_head(name)
                if kind == _FILE:
                    if not self._small(name):
                        yield from self._big(name)
                elif kind == _DIRECTORY:
                    self._down(name)
                    continue
                else:
                    self._symlink(name, kind)
                if inside:
                    gathered += write.ENTRY_TAIL
            yield bytes(gathered)
        finally:
            self._directories.close()

    def _small(self, name: bytes) -> bool:
        """Gather a file if it is a small one; whether it is."""
        descriptor = os.open(name, OPEN_FILE, dir_fd=self._directories.top)
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            if status.st_dev != self._device or not stat.S_ISREG(status.st_mode):
                raise self._changed(name, status)
            if size >= GATHER:
                return False
            data = os.read(descriptor, size + 1)
            if len(data) != size:
                data = self._again(descriptor, size, name)
            if self._budget is not None:
                self._budget.spend(size, self._path(name))
            head = write.file_head(size, bool(status.st_mode & 0o100))
            self._gathered += head + data + write.file_tail(size)
        finally:
            os.close(descriptor)
        return True

    def _big(self, name: bytes) -> Iterator[bytes]:
        """A file that goes out as it is read."""
        descriptor = open_regular(self._directories.top, name)
        try:
            status = os.fstat(descriptor)
            size, path = status.st_size, self._path(name)
            if self._budget is not None:
                self._budget.spend(size, path)
            self._gathered += write.file_head(size, bool(status.st_mode & 0o100))
            yield bytes(self._gathered)
            self._gathered.clear()
            yield from contents(descriptor, size, where=path)
            self._gathered += write.file_tail(size)
        finally:
            os.close(descriptor)

    def _again(self, descriptor: int, size: int, name: bytes) -> bytes:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return at_once(descriptor, size, lambda: self._path(name))

    def _symlink(self, name: bytes, kind: int) -> None:
        if kind != _SYMLINK:
            raise ObjectRejectedError(f"file '{self._path(name)}' has an unsupported type", hint=_UNSUPPORTED)
        self._gathered += write.symlink(os.readlink(name, dir_fd=self._directories.top))

    def _down(self, name: bytes) -> None:
        descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=self._directories.top)
        self._directories.push(descriptor)
        status = os.fstat(descriptor)
        if status.st_dev != self._device:
            raise self._changed(name, status)
        path = self._path(name)
        self._way.append(name)
        entries = _entries(descriptor, path)
        if entries and len(self._left) > self._max_depth:
            raise ObjectRejectedError(f"more than {self._max_depth} levels of directories", where=path)
        self._left.append(entries)
        self._gathered += write.DIRECTORY_HEAD

    def _up(self) -> None:
        self._directories.pop()
        self._way.pop()
        self._gathered += write.DIRECTORY_TAIL
        if len(self._left) > 1:
            self._gathered += write.ENTRY_TAIL

    def _changed(self, name: bytes, status: os.stat_result) -> ObjectRejectedError:
        if status.st_dev != self._device:
            return ObjectRejectedError("a file system is mounted inside the tree", where=self._path(name))
        return ObjectRejectedError("file was replaced while it was read", where=self._path(name))

    def _path(self, name: bytes) -> str:
        """Where it lies, for messages: of a deep one the middle is left out."""
        inside = [*self._way, name][1:]  # the root has the name that messages give it
        return shortened("/".join([self._where, *map(os.fsdecode, inside)]))


def _entries(descriptor: int, where: str) -> Entries:
    """What is in a directory, sorted so that `pop` gives the smallest name (as bytes)."""
    found: Entries = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                kind = _FILE
            elif entry.is_dir(follow_symlinks=False):
                kind = _DIRECTORY
            else:
                kind = _SYMLINK if entry.is_symlink() else _OTHER
            found.append((os.fsencode(entry.name), kind))
            if len(found) > MAX_ENTRIES:
                raise ObjectRejectedError(f"a directory has more than {MAX_ENTRIES} entries", where=where)
            if not len(found) % _LISTED:
                check_interrupt()
    found.sort(reverse=True)
    return found
