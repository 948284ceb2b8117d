"""Locks between threads and processes: one file per store path, one for the whole store.

Mechanism: flock(2), which belongs to the open file: threads exclude each other by it as well as processes do, and closing
some other descriptor drops nothing. Lock files of paths are `<store>/<base>.lock`, mode 0600. Sets of paths are locked in sorted
order, so two sets can't block each other. A lock file is removed by its holder, who then writes one byte into it: whoever
got the lock on a removed file sees the byte and starts over.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from fruix.model.storepath import StorePath

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_STALE = b"d"


class PathLocks:
    """Exclusive locks on store paths. Leaving the context (or `release`) gives them back."""

    def __init__(self, store: int) -> None:
        """Without locks at first; `store` is the open store directory."""
        self._store = store
        self._held: list[tuple[bytes, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()

    def acquire(self, paths: Iterable[StorePath], *, wait: bool) -> bool:
        """Lock all of the paths, or none.

        Returns:
            False when one is locked by somebody else and `wait` is false.
        """
        try:
            for path in sorted(set(paths)):
                name = os.fsencode(path.base) + b".lock"
                descriptor = _lock(self._store, name, wait=wait)
                if descriptor is None:
                    self.release()
                    return False
                self._held.append((name, descriptor))
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Remove the lock files, mark them stale for those who wait, unlock."""
        while self._held:
            name, descriptor = self._held.pop()
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._store)
            _mark_stale(descriptor)


def _lock(store: int, name: bytes, *, wait: bool) -> int | None:
    while True:
        descriptor = os.open(name, _FLAGS, 0o600, dir_fd=store)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        status = os.fstat(descriptor)
        if status.st_size == 0 and status.st_nlink:
            return descriptor
        os.close(descriptor)  # removed by its last holder: a new file has the name now


def remove_stale(store: int) -> list[str]:
    """Remove lock files that a crashed process left and that nobody holds; returns their names."""
    removed = []
    for name in sorted(os.listdir(store)):
        if name.endswith(".lock") and (descriptor := _lock(store, os.fsencode(name), wait=False)) is not None:
            os.unlink(name, dir_fd=store)
            _mark_stale(descriptor)
            removed.append(name)
    return removed


def _mark_stale(descriptor: int) -> None:
    """Give a lock back whose file was unlinked: a waiter that sees no byte (or counts a link) has the file that is still there."""
    with suppress(OSError):  # a full disk has no room for the byte; the lock must be let go all the same
        os.write(descriptor, _STALE)
    os.close(descriptor)


class StoreLock:
    """The `big-lock`: shared by all processes that have the store open, exclusive while one looks after a crash."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, _FLAGS, 0o600)
        self.alone = self._try_exclusive()
        if not self.alone:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def _try_exclusive(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Let other processes in."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)
