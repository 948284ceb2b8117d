"""Room on the disks of the store and of its database.

Additions are refused, or stopped, before they are full.

Looking costs a system call for each disk, so that a look gives an allowance of `STEP` bytes and
`STEP_FILES` files, or less where less is left, which is used up by all additions together and
expires after `PERIOD` seconds. Additions alone therefore don't pass the limits, but for the
database's log, which may have 4 MiB.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from fruix.dataclass import dataclass
from fruix.errors import NoSpaceError
from fruix.model.aterm.grammar import MAX_SIZE as MAX_DERIVATION_SIZE
from fruix.store.database_errors import FREE_SPACE, free_text, is_full

STEP = 16 << 20
STEP_FILES = 1024
PERIOD = 1.0
MIB = 1 << 20
# Bytes that a file takes at most besides its contents, and that a file takes at least in an
# archive.
_BLOCK = 4096
_SMALLEST = 200
_HINT = (
    "free some space there ('fruix gc' deletes what nothing needs); "
    "the daemon's settings 'min-free' and 'min-free-files' say what has to stay free"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """For what is added to a store. Sizes in bytes; 0 is no limit.

    Attributes:
        min_free, min_free_files: what additions leave of the disks of the store and of its
            database.
        max_derivation: the largest derivation that is added or read.
    """

    min_free: int = 0
    min_free_files: int = 0
    max_derivation: int = MAX_DERIVATION_SIZE


NO_LIMITS = Limits()


class Room:
    """What may still be added. Thread-safe."""

    def __init__(self, directories: Sequence[str], limits: Limits) -> None:
        """`directories`: one on each file system that additions write to."""
        self.limits = limits
        self._directories = directories
        self._min_free = limits.min_free
        self._min_free_files = limits.min_free_files
        self._lock = threading.Lock()
        self._until = 0.0
        self._bytes = 0
        self._files = 0

    def spend(self, size: int, files: int = 1) -> None:
        """Before so many bytes in so many files are written.

        Raises:
            NoSpaceError: afterwards less would be free than has to.
        """
        if not self._min_free and not self._min_free_files:
            return
        size += files * _BLOCK
        with self._lock:
            if size > self._bytes or files > self._files or time.monotonic() > self._until:
                self._look(size, files)
            self._bytes -= size
            self._files -= files

    def refuse_full(self) -> None:
        """Without limits too, nothing begins on a disk that has no room at all.

        Raises:
            NoSpaceError: so it is.
        """
        for directory in self._directories:
            if is_full(directory):
                raise NoSpaceError(
                    f"no space for additions: {free_text(directory)}", where=directory, hint=FREE_SPACE
                )

    def spending(self, chunks: Iterable[bytes], *, tree: bool) -> Iterator[bytes]:
        """Spend for each piece of a stream before it is written.

        One of a `tree` may hold as many files as fit into it.

        Raises:
            NoSpaceError: as `spend`.
        """
        for chunk in chunks:
            self.spend(len(chunk), len(chunk) // _SMALLEST + 1 if tree else 0)
            yield chunk

    def _look(self, size: int, files: int) -> None:
        self._bytes, self._files = max(STEP, size), max(STEP_FILES, files)
        for directory in self._directories:
            status = os.statvfs(directory)
            free = status.f_bavail * status.f_frsize
            if self._min_free:
                self._bytes = min(self._bytes, free - self._min_free)
            # File systems that make inodes as they need them say that there are none.
            if self._min_free_files and status.f_files:
                self._files = min(self._files, status.f_favail - self._min_free_files)
            if self._bytes < size:
                self._refuse(
                    directory,
                    f"{free / MIB:.1f} MiB are free, "
                    f"and {self._min_free / MIB:.1f} MiB have to stay free (setting 'min-free')",
                )
            if self._files < files:
                self._refuse(
                    directory,
                    f"{status.f_favail} more files can be made, "
                    f"and {self._min_free_files} have to stay possible"
                    " (setting 'min-free-files')",
                )
        self._until = time.monotonic() + PERIOD

    def _refuse(self, directory: str, why: str) -> None:
        self._bytes = self._files = 0
        raise NoSpaceError(f"no space for additions: {why}", where=directory, hint=_HINT)
