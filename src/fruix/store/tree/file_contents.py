"""The bytes of one open file, and a limit for those of many."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from fruix.errors import ObjectRejectedError
from fruix.store.tree.descriptors import READ_SIZE, write_all
from fruix.store.tree.interruption import check_interrupt

# What is read at once and then hashed or looked through: it should still be in the processor's cache.
_PIECE = 1 << 18
# What systems say where a kind of file or of socket can't be used with sendfile.
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSOCK})


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
        chunk = os.read(descriptor, min(left, _PIECE))
        if not chunk:
            break
        left -= len(chunk)
        yield chunk
    if left or os.read(descriptor, 1):
        raise ObjectRejectedError("file changed while it was read", where=where)


def send(descriptor: int, size: int, stream: int, *, where: str) -> None:
    """Send exactly `size` bytes from an open file, read from its beginning, to a blocking socket.

    The kernel hands the file's pages over (sendfile(2)), which spares two copies; where it can't, they are
    read and written.

    Args:
        descriptor: a regular file; where it stands is left undefined.
        size: bytes.
        stream: descriptor of the socket.
        where: the file's path, for messages.

    Raises:
        ObjectRejectedError: the file is shorter or longer by now; up to `size` bytes have been sent.
        OSError: as the system says of either end; `ConnectionError` of the socket.
    """
    sent = 0
    while sent < size:
        check_interrupt()
        try:
            count = os.sendfile(stream, descriptor, sent, min(size - sent, READ_SIZE))
        except OSError as error:
            if error.errno not in _NO_SENDFILE:
                raise
            os.lseek(descriptor, sent, os.SEEK_SET)
            for chunk in contents(descriptor, size - sent, where=where):
                write_all(stream, chunk)
            return
        if not count:
            break
        sent += count
    if sent < size or os.pread(descriptor, 1, size):
        raise ObjectRejectedError("file changed while it was read", where=where)


def at_once(descriptor: int, size: int, where: Callable[[], str]) -> bytes:
    """All of a small file in one read; whatever else that finds is read again with care."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    os.lseek(descriptor, 0, os.SEEK_SET)
    return b"".join(contents(descriptor, size, where=where()))
