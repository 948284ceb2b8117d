"""The open directories on the way down into a tree, of which only the lowest ones stay open.

A directory further up is opened again, when the way leads back to it, as the `..` of the one below,
and has to be the very directory that it was: the tree may be as deep as the file system allows,
whatever the limit of descriptors, and nobody can lead the way elsewhere.
"""

from __future__ import annotations

import os
from collections import deque

from fruix.errors import ObjectRejectedError
from fruix.store.tree.descriptors import OPEN_DIRECTORY

MOST = 32
"""Descriptors that one of these holds at most."""


class OpenDirectories:
    """A stack of open directories. Whoever makes it closes it."""

    def __init__(self, base: int) -> None:
        """`base` is below all others; it stays the caller's."""
        self._base = base
        self._open: deque[int] = deque()
        self._closed: list[tuple[int, int]] = []  # device and inode of those further up

    @property
    def top(self) -> int:
        """The lowest directory."""
        return self._open[-1] if self._open else self._base

    def push(self, descriptor: int) -> None:
        """Go down into an open directory, which is closed by this from now on, whatever comes."""
        self._open.append(descriptor)
        if len(self._open) > MOST:
            upper = self._open.popleft()
            try:
                self._closed.append(_identity(upper))
            finally:
                os.close(upper)

    def pop(self) -> None:
        """Close the lowest directory and go up.

        Raises:
            ObjectRejectedError: a directory was moved meanwhile.
        """
        if len(self._open) == 1 and self._closed:
            upper = os.open(b"..", OPEN_DIRECTORY, dir_fd=self._open[0])
            self._open.appendleft(upper)
            if _identity(upper) != self._closed.pop():
                raise ObjectRejectedError("a directory was moved while the tree was read")
        os.close(self._open.pop())

    def close(self) -> None:
        """Close all but the base."""
        while self._open:
            os.close(self._open.pop())


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
