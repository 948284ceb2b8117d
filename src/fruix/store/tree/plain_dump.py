"""A tree as an archive (NAR) stream, as it is: the quick way, for trees that nobody changes meanwhile.

What `dump` gives without a preparation. Kinds come from the listing of the directory, so that a small file
takes four system calls (open, status, read, close) and no value for itself; some 7 µs.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Protocol

from fruix.dataclass import dataclass
from fruix.errors import ObjectRejectedError
from fruix.model.nar import write
from fruix.model.text import shortened
from fruix.store.tree.descriptors import OPEN_DIRECTORY, OPEN_FILE, lstat, open_regular
from fruix.store.tree.file_contents import SizeBudget, at_once, contents
from fruix.store.tree.interruption import check_interrupt
from fruix.store.tree.open_directories import OpenDirectories
from fruix.store.tree.walk import MAX_DEPTH, MAX_ENTRIES

GATHER = 1 << 16  # bytes of structure and small files that go out together
_FILE, _DIRECTORY, _SYMLINK, _OTHER = range(4)
_KINDS = {stat.S_IFREG: _FILE, stat.S_IFDIR: _DIRECTORY, stat.S_IFLNK: _SYMLINK}
_AROUND = 1 << 8  # bytes of structure around a small file, about
_LISTED = 1 << 12  # entries listed between two looks whether to go on
_UNSUPPORTED = "only regular files, directories and symlinks can be kept in the store"

Entries = list[bytes]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The contents of a regular file, as a piece of an archive.

    Attributes:
        descriptor: open at its beginning, until the next piece is asked for.
        size: bytes that belong to the archive; the file must have neither more nor less.
        where: its path, for messages.
    """

    descriptor: int
    size: int
    where: str


class Look(Protocol):
    """Looks at the metadata of each node of a tree while that is read."""

    def is_right(self, status: os.stat_result) -> bool:
        """Whether a node needs no `note`."""

    def note(self, status: os.stat_result, where: str) -> None:
        """Told of the others; `where` is "" for the root."""


class PlainDump:
    """One archive, which can be gone through once: by `iter` or by `pieces`."""

    def __init__(
        self,
        parent: int,
        name: bytes,
        where: str,
        max_depth: int = MAX_DEPTH,
        budget: SizeBudget | None = None,
        look: Look | None = None,
    ) -> None:
        """As for `dump`; `look` is shown all nodes, symlinks by one more system call each."""
        self._root = parent, name
        self._where = where or os.fsdecode(name)
        self._max_depth = max_depth
        self._budget = budget
        self._look = look
        self._device = -1
        self._directories = OpenDirectories(parent)
        self._way: list[bytes] = []  # names of the directories below the root that are open
        # Of each open directory what is still to do, last first; the root stands in a list of its own.
        self._left: list[Entries] = []
        # Of each of these the kinds of entries that are no regular files.
        self._kinds: list[Mapping[bytes, int]] = []
        self._gathered = bytearray(write.MAGIC)

    def __iter__(self) -> Iterator[bytes]:
        """The archive; see `dump`."""
        for piece in self.pieces():
            if isinstance(piece, OpenFile):
                yield from contents(piece.descriptor, piece.size, where=piece.where)
            else:
                yield piece

    def pieces(self) -> Iterator[bytes | OpenFile]:
        """The same with the contents of big files as open files, each until the next piece is asked for."""
        gathered, left, kinds = self._gathered, self._left, self._kinds
        parent, name = self._root
        root = lstat(parent, name)
        self._device = root.st_dev
        left.append([name])
        kinds.append({name: _KINDS.get(stat.S_IFMT(root.st_mode), _OTHER)})
        try:
            while True:
                check_interrupt()
                if len(gathered) >= GATHER:
                    yield bytes(gathered)
                    gathered.clear()
                if not left[-1]:
                    left.pop()
                    kinds.pop()
                    if not left:
                        break
                    self._up()
                    continue
                inside = len(left) > 1
                if inside and self._gather(left[-1], kinds[-1]):
                    continue
                name = left[-1].pop()
                kind = kinds[-1].get(name, _FILE)
                if inside:
                    gathered += write.entry_head(name)
                if kind == _FILE:
                    yield from self._file(name)
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

    def _gather(self, entries: Entries, kinds: Mapping[bytes, int]) -> bool:
        """Gather the small files that come next in a directory until there is enough; whether there was one.

        Most files of most trees come this way, so there are few calls here but those of the system.
        """
        device, budget, look, top = self._device, self._budget, self._look, self._directories.top
        pack, pieces = write.LENGTH.pack, list[bytes]()
        room = GATHER - len(self._gathered)
        while room > 0 and entries and (name := entries[-1]) not in kinds:
            check_interrupt()
            descriptor = os.open(name, OPEN_FILE, dir_fd=top)
            try:
                status = os.fstat(descriptor)
                size, mode = status.st_size, status.st_mode
                if status.st_dev != device or not stat.S_ISREG(mode):
                    raise self._changed(name, status)
                if size >= GATHER:
                    break
                data = os.read(descriptor, size + 1)
                if len(data) != size:
                    data = self._again(descriptor, size, name)
            finally:
                os.close(descriptor)
            if budget is not None:
                budget.spend(size, self._path(name))
            if look is not None and not look.is_right(status):
                look.note(status, self._path(name))
            length = len(name)
            pieces += (
                write.ENTRY, pack(length), name, write.NODES[-length % 8],
                write.EXECUTABLE_FILE if mode & 0o100 else write.FILE, pack(size), data,
                write.FILE_TAILS[-size % 8], write.ENTRY_TAIL,
            )  # fmt: skip
            room -= size + _AROUND
            entries.pop()
        self._gathered += b"".join(pieces)
        return bool(pieces)

    def _file(self, name: bytes) -> Iterator[bytes | OpenFile]:
        """A big file, or one that is the whole tree."""
        descriptor = open_regular(self._directories.top, name)
        try:
            status = os.fstat(descriptor)
            if status.st_dev != self._device:
                raise self._changed(name, status)
            size, path = status.st_size, self._path(name)
            self._see(name, status)
            if self._budget is not None:
                self._budget.spend(size, path)
            self._gathered += write.file_head(size, bool(status.st_mode & 0o100))
            if size < GATHER:
                self._gathered += at_once(descriptor, size, lambda: path)
            else:
                yield bytes(self._gathered)
                self._gathered.clear()
                yield OpenFile(descriptor, size, path)
            self._gathered += write.file_tail(size)
        finally:
            os.close(descriptor)

    def _again(self, descriptor: int, size: int, name: bytes) -> bytes:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return at_once(descriptor, size, lambda: self._path(name))

    def _symlink(self, name: bytes, kind: int) -> None:
        if kind != _SYMLINK:
            raise ObjectRejectedError(f"file '{self._path(name)}' has an unsupported type", hint=_UNSUPPORTED)
        top = self._directories.top
        if self._look is not None:
            self._see(name, lstat(top, name))
        self._gathered += write.symlink(os.readlink(name, dir_fd=top))

    def _down(self, name: bytes) -> None:
        descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=self._directories.top)
        self._directories.push(descriptor)
        status = os.fstat(descriptor)
        if status.st_dev != self._device:
            raise self._changed(name, status)
        path = self._path(name)
        self._see(name, status)
        self._way.append(name)
        entries, kinds = _entries(descriptor, path)
        if entries and len(self._left) > self._max_depth:
            raise ObjectRejectedError(f"more than {self._max_depth} levels of directories", where=path)
        self._left.append(entries)
        self._kinds.append(kinds)
        self._gathered += write.DIRECTORY_HEAD

    def _up(self) -> None:
        self._directories.pop()
        self._way.pop()
        self._gathered += write.DIRECTORY_TAIL
        if len(self._left) > 1:
            self._gathered += write.ENTRY_TAIL

    def _see(self, name: bytes, status: os.stat_result) -> None:
        if self._look is not None and not self._look.is_right(status):
            self._look.note(status, self._path(name) if self._way else "")

    def _changed(self, name: bytes, status: os.stat_result) -> ObjectRejectedError:
        if status.st_dev != self._device:
            return ObjectRejectedError("a file system is mounted inside the tree", where=self._path(name))
        return ObjectRejectedError("file was replaced while it was read", where=self._path(name))

    def _path(self, name: bytes) -> str:
        """Where it lies, for messages: of a deep one the middle is left out."""
        inside = [*self._way, name][1:]  # the root has the name that messages give it
        return shortened("/".join([self._where, *map(os.fsdecode, inside)]))


def _entries(descriptor: int, where: str) -> tuple[Entries, Mapping[bytes, int]]:
    """What is in a directory, sorted so that `pop` gives the smallest name (as bytes); kinds of no files."""
    found: Entries = []
    kinds: dict[bytes, int] = {}
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    with os.scandir(descriptor) as entries:
        for entry in entries:
            name = entry.name.encode(encoding, errors)
            if not entry.is_file(follow_symlinks=False):
                kinds[name] = _kind(entry)
            found.append(name)
            if len(found) > MAX_ENTRIES:
                raise ObjectRejectedError(f"a directory has more than {MAX_ENTRIES} entries", where=where)
            if not len(found) % _LISTED:
                check_interrupt()
    found.sort(reverse=True)
    return found, kinds


def _kind(entry: os.DirEntry[str]) -> int:
    if entry.is_dir(follow_symlinks=False):
        return _DIRECTORY
    return _SYMLINK if entry.is_symlink() else _OTHER
