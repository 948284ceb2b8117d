"""An archive stream as a tree: fresh, canonical inodes in a directory that only we can enter.

The reader (`fruix.model.nar.read`) accepts only the one canonical form: names sorted, unique,
without `/`, `.` and `..`, bounded depth and lengths. Here each name is one component below a held
descriptor, created with O_EXCL|O_NOFOLLOW, so a symlink that the archive itself made is never
followed. Since just one byte string describes a tree, the stream's hash is the hash of what is on
disk.

Cost: about 40 µs a small file; big contents are written without copying, several pieces at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Self

from fruix.errors import BadNarError
from fruix.model.nar.read import NarReader
from fruix.model.nar.stream_events import (
    DirectoryEnd,
    DirectoryStart,
    Entry,
    FileData,
    FileEnd,
    FileStart,
    Symlink,
    WholeFile,
)
from fruix.store.tree.descriptors import CREATE_FILE, open_directory, write_all
from fruix.store.tree.metadata import (
    DIRECTORY_MODE,
    FILE_MODES,
    TIMES,
    file_mode,
    finish_open,
    finish_symlink,
)
from fruix.store.tree.open_directories import OpenDirectories

# What one call writes of a big file, always at a multiple of it: the kernel keeps a file in pages as large as
# what a call wrote there, and all who read it are the quicker for large ones (docs/performance.md).
GATHER = 1 << 18  # bytes
_PIECES = 1024  # IOV_MAX of Linux and FreeBSD


def restore(chunks: Iterable[bytes], parent: int, name: bytes) -> None:
    """Create the tree that the archive in `chunks` describes at `name`, where nothing may be.

    Raises:
        BadNarError: not a canonical archive, too short, or bytes after its end.
        OSError: as the system says; a part of the tree may be left.
    """
    reader = NarReader(whole_files=True)
    with Restoring(parent, name) as restoring:
        handlers = restoring.handlers
        for chunk in chunks:
            for event in reader.feed(chunk):
                handlers[type(event)](event)
            if reader.done and reader.leftover:
                raise BadNarError(
                    f"{len(reader.leftover)} bytes follow the end of the archive", where=os.fsdecode(name)
                )
        reader.finish()


class Restoring:
    """Takes the events of one archive, each by the one of `handlers` for its type.

    A context manager, so that descriptors are closed whatever comes.
    """

    def __init__(self, parent: int, name: bytes) -> None:
        self._directories = OpenDirectories(parent)
        self._name = name  # of the next node
        self._file = -1
        self._mode = 0
        self._pieces: list[memoryview] = []  # of that file, not written yet
        self._size = 0  # bytes in them
        self.handlers: dict[type, Callable[..., None]] = {
            WholeFile: self._whole_file,
            FileData: self._file_data,
            FileStart: self._file_start,
            FileEnd: self._file_end,
            Symlink: self._symlink,
            DirectoryStart: self._directory_start,
            Entry: self._entry,
            DirectoryEnd: self._directory_end,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._directories.close()
        if self._file >= 0:
            os.close(self._file)

    def _whole_file(self, event: WholeFile) -> None:
        # Twenty thousand of them in a row: no call that can be spared.
        self._file = descriptor = os.open(event.name, CREATE_FILE, 0o600, dir_fd=self._directories.top)
        data = event.data
        if (written := os.write(descriptor, data)) != len(data):
            write_all(descriptor, data[written:])
        os.fchmod(descriptor, FILE_MODES[event.executable])
        os.utime(descriptor, ns=TIMES)
        self._file = -1
        os.close(descriptor)

    def _file_start(self, event: FileStart) -> None:
        self._mode = file_mode(event.executable)
        self._file = os.open(self._name, CREATE_FILE, 0o600, dir_fd=self._directories.top)

    def _file_data(self, event: FileData) -> None:
        data = event.data
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= GATHER:
            if beyond := self._size % GATHER:
                self._pieces[-1] = data[:-beyond]
                self._size -= beyond
            self._write()
            if beyond:
                self._pieces.append(data[-beyond:])
                self._size = beyond
        elif len(self._pieces) >= _PIECES:
            self._write()

    def _write(self) -> None:
        pieces, size = self._pieces, self._size
        self._pieces, self._size = [], 0
        if (written := os.writev(self._file, pieces)) != size:
            write_all(self._file, b"".join(pieces)[written:])

    def _file_end(self, _event: FileEnd) -> None:
        if self._pieces:
            self._write()
        finish_open(self._file, self._mode)
        descriptor, self._file = self._file, -1
        os.close(descriptor)

    def _symlink(self, event: Symlink) -> None:
        os.symlink(event.target, self._name, dir_fd=self._directories.top)
        finish_symlink(self._directories.top, self._name)

    def _directory_start(self, _event: DirectoryStart) -> None:
        outer = self._directories.top
        os.mkdir(self._name, 0o700, dir_fd=outer)
        self._directories.push(open_directory(outer, self._name))

    def _entry(self, event: Entry) -> None:
        self._name = event.name

    def _directory_end(self, _event: DirectoryEnd) -> None:
        finish_open(self._directories.top, DIRECTORY_MODE)
        self._directories.pop()
