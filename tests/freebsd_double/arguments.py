"""Reading what a call was given as the kernel reads it.

Arguments are pairs of names and values; errors and messages are the kernel's.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from typing import NoReturn

from fruix.sandbox.freebsd.abi import Pair
from fruix.sandbox.freebsd.kernel import KernelError

_MOST_BYTES = 64 << 10
_BOOKKEEPING = 32  # bytes per pair, as the kernel counts


class Pairs:
    """The pairs of one call. `fail` writes the message where the caller wants it."""

    def __init__(self, call: str, pairs: Sequence[Pair], *, least: int = 0) -> None:
        self.call = call
        self.values: dict[str, bytes | bytearray | None] = {}
        self._errmsg: bytearray | None = None
        total = sum(len(name) + len(value or b"") + _BOOKKEEPING for name, value in pairs)
        if len(pairs) < least or total > _MOST_BYTES:
            self.fail(errno.EINVAL)
        for name, value in pairs:
            if not name.endswith(b"\0"):
                self.fail(errno.EINVAL)
            key = name[:-1].decode()
            if key == "errmsg":
                if not isinstance(value, bytearray):
                    self.fail(errno.EINVAL)
                self._errmsg = value
            else:
                self.values[key] = value

    def fail(self, number: int, message: str = "") -> NoReturn:
        """Fail the call, with the kernel's message where the caller wants it.

        Raises:
            KernelError: always.
        """
        if self._errmsg is not None and message:
            text = message.encode()[: len(self._errmsg) - 1]
            self._errmsg[: len(text) + 1] = text + b"\0"
        raise KernelError(self.call, number, message)

    def text(self, name: str, *, size: int) -> str | None:
        """A string with its NUL, of at most `size` bytes; None if it isn't there."""
        value = self.values.get(name)
        if value is None:
            return None
        if len(value) > size:
            self.fail(errno.ENAMETOOLONG)
        if not value.endswith(b"\0"):
            self.fail(errno.EINVAL)
        return bytes(value).partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def integer(self, name: str) -> int | None:
        """Four bytes; None if it isn't there."""
        value = self.values.get(name)
        if value is None:
            return None
        if len(value) != 4:
            self.fail(errno.EINVAL)
        return int(struct.unpack("=i", value)[0])

    def answer(self, name: str, data: bytes) -> None:
        """Fill in what was asked for, if it was; a buffer that is too small is an error."""
        value = self.values.get(name)
        if not isinstance(value, bytearray):
            return
        if len(data) > len(value):
            self.fail(errno.EINVAL)
        value[: len(data)] = data
