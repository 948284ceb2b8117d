"""The bytes of one open file, and a limit for those of many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from fruix.errors import ObjectRejectedError
from fruix.store.tree.descriptors import READ_SIZE
from fruix.store.tree.interruption import check_interrupt


class SizeBudget:
    """A limit for the sum of file sizes, looked at before anything is read.

    A sparse file claims more than any disk holds.

    One budget may be spent by several trees, one after the other.
    """

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: bytes; None: no limit."""
        self._limit = limit
        self._spent = 0

    def spend(self, size: int, where: str) -> None:
        """Count a file.

        Raises:
            ObjectRejectedError: the limit is passed.
        """
        self._spent += size
        if self._limit is not None and self._spent > self._limit:
            raise ObjectRejectedError(f"more than {self._limit} bytes of contents", where=where)


def contents(descriptor: int, size: int, *, where: str) -> Iterator[bytes]:
    """Exactly `size` bytes from an open file.

    Raises:
        ObjectRejectedError: the file is shorter or longer by now.
    """
    left = size
    while left:
        check_interrupt()
        chunk = os.read(descriptor, min(left, READ_SIZE))
        if not chunk:
            break
        left -= len(chunk)
        yield chunk
    if left or os.read(descriptor, 1):
        raise ObjectRejectedError("file changed while it was read", where=where)


def at_once(descriptor: int, size: int, where: Callable[[], str]) -> bytes:
    """All of a small file in one read; whatever else that finds is read again with care."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    os.lseek(descriptor, 0, os.SEEK_SET)
    return b"".join(contents(descriptor, size, where=where()))
