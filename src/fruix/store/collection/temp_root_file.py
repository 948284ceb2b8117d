"""Temporary roots between processes: a file for each that has the store open, read by collectors.

`temproots/<pid>-<8 hex digits>`, mode 0600, holds store paths, each followed by NUL. Its owner
holds a flock on it for life: a file that nobody holds is a dead process's, and is removed.

The owner appends under the gate, the collector reads while it has the gate alone, so neither sees
the other's work half done. The lock is shared as long as the file tells everything. When a root
could not be written (the disk is full) the owner takes it exclusively instead, which needs no room;
a collector in another process that meets such a file deletes nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from fruix.errors import StoreError
from fruix.store.tree.descriptors import OPEN_DIRECTORY, OPEN_FILE, write_all

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_APPEND
# Entries that may have ended before the file is written anew, besides as many as there are roots.
_SLACK = 4096


class TempRootFile:
    """This process's file. Its user excludes threads from each other, and holds the gate."""

    def __init__(self, directory: str) -> None:
        self._directory = os.open(directory, OPEN_DIRECTORY)
        self.name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._entries = 0
        try:
            self._descriptor = os.open(self.name, _FLAGS, 0o600, dir_fd=self._directory)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        except BaseException:
            os.close(self._directory)
            raise

    def close(self) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self._directory)
        os.close(self._descriptor)
        os.close(self._directory)

    def add(self, *texts: str) -> None:
        """Append paths."""
        self._entries += len(texts)
        self._write(texts)

    def _write(self, texts: Sequence[str]) -> None:
        try:
            write_all(self._descriptor, "\0".join((*texts, "")).encode())
        except OSError:
            # No room to say it. What matters here is said by the lock; the gate keeps everybody
            # from looking in the moment without one.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def shrink(self, most: int, remaining: Callable[[], Sequence[str]]) -> None:
        """A session has ended: write the file anew if most of what it holds has ended, or all of it.

        Args:
            most: how many roots there are at most.
            remaining: gives them.
        """
        if most and self._entries <= 2 * most + _SLACK:
            return
        texts = remaining()
        os.ftruncate(self._descriptor, 0)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        self._entries = len(texts)
        self._write(texts)


class OtherProcesses:
    """What the files of all other processes say, for a collector that has the gate alone."""

    def __init__(self, directory: str, own: str) -> None:
        """`own`: the name of this process's file, whose roots are known from memory."""
        self._path = directory
        self._own = own
        self._seen: dict[str, tuple[int, int, int]] = {}

    def added(self) -> Iterator[tuple[str, str]]:
        """Yield (process's number, path) from files that are new or have changed since the last call.

        Raises:
            StoreError: a process has roots that it could not write down.
        """
        directory = os.open(self._path, OPEN_DIRECTORY)
        try:
            names = [name for name in os.listdir(directory) if name != self._own]
            for name in names:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                state = (status.st_ino, status.st_size, status.st_mtime_ns)
                if self._seen.get(name) != state:
                    self._seen[name] = state
                    yield from ((name.partition("-")[0], path) for path in self._read(directory, name))
        finally:
            os.close(directory)

    def _read(self, directory: int, name: str) -> list[str]:
        descriptor = os.open(name, OPEN_FILE, dir_fd=directory)
        try:
            if _locks(descriptor, fcntl.LOCK_EX):
                os.unlink(name, dir_fd=directory)  # its process is dead
                return []
            if not _locks(descriptor, fcntl.LOCK_SH):
                raise StoreError(
                    f"process {name.partition('-')[0]} has temporary roots that it could not write down",
                    where=f"{self._path}/{name}",
                    hint="its disk was full: free some space otherwise, end that process, or have it collect",
                )
            with os.fdopen(os.dup(descriptor), "rb") as file:
                *paths, _partial = file.read().decode("ascii", "replace").split("\0")
            return paths
        finally:
            os.close(descriptor)


def _locks(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
