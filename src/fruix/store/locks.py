"""Locks between threads and processes on store paths: one file for each path that is being made.

Mechanism: flock(2), which belongs to the open file: threads exclude each other by it as well as
processes do, and closing some other descriptor drops nothing. The files lie in a directory of their
own, in the state directory and closed to others; a file has its path's base name and mode 0600.
Sets of paths are locked in sorted order, so two sets can't block each other. A lock file is removed
by its holder: whoever got the lock on a removed file sees that it has no name any more and starts
over.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from fruix.model.storepath import StorePath

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class PathLocks:
    """Exclusive locks on store paths. Leaving the context (or `release`) gives them back."""

    def __init__(self, directory: int) -> None:
        """Without locks at first; `directory` is the open directory of lock files."""
        self._directory = directory
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
                name = os.fsencode(path.base)
                descriptor = _lock(self._directory, name, wait=wait)
                if descriptor is None:
                    self.release()
                    return False
                self._held.append((name, descriptor))
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Remove the lock files, unlock. A file that can't be removed is left to the next holder."""
        while self._held:
            name, descriptor = self._held.pop()
            with suppress(OSError):
                os.unlink(name, dir_fd=self._directory)
            os.close(descriptor)


def _lock(directory: int, name: bytes, *, wait: bool) -> int | None:
    while True:
        descriptor = os.open(name, _FLAGS, 0o600, dir_fd=directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # removed by its last holder: a new file has the name now


def remove_stale(directory: int) -> None:
    """Remove the lock files that crashed processes left. Nobody else works on the store."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    for name in names:
        os.unlink(name, dir_fd=directory)
