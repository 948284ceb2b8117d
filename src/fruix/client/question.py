"""One question to a fruix daemon, by `protocol.numbers` alone: imports next to nothing.

Whatever isn't as expected (no daemon, another's, a refusal, an error) raises `OSError` or
`ValueError`, and is for the whole client to find out and tell.
"""

from __future__ import annotations

import _socket
from types import SimpleNamespace

from fruix.protocol import numbers

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from typing import Any, Self

_MOST = 1 << 20  # of texts and lists
_PIECE = 1 << 16


class Begun:
    """A connection on which a quick command has asked, and which the whole command goes on with.

    Attributes:
        address: the daemon's socket.
        descriptor: of the connection; owned by whoever has this.
        sent, heard: all that went over it so far.
        said: the line that is on the screen; empty if there is none.
    """

    def __init__(self, address: str, descriptor: int, sent: bytes, heard: bytes, said: str) -> None:
        self.address, self.descriptor = address, descriptor
        self.sent, self.heard, self.said = sent, heard, said


class Question:
    """A greeted connection. A context manager."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._data, self._at = b"", 0
        self._sent: list[bytes] = []
        self._heard: list[bytes] = []
        self._stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._stream.connect(address)
            self._greet()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()

    def _greet(self) -> None:
        """As `handshake.greet`, all at once."""
        names = b"".join(map(text_bytes, sorted(numbers.OFFERED)))
        version = (numbers.MAJOR << 8) | numbers.NIX_NEWEST
        count = len(numbers.OFFERED)
        self._send(number_bytes(numbers.CLIENT_MAGIC, version, count) + names + number_bytes(0, 0))
        if (
            self.number() != numbers.SERVER_MAGIC
            or self.number() < version
            or self.texts() != [numbers.FEATURE]
        ):
            raise ValueError("no daemon that understands this")
        self.text()  # the daemon's version
        self.number()  # whether it trusts this user
        self._expect_last()

    def hand_over(self, said: str) -> Begun:
        """Have the whole command go on with the connection."""
        sent, heard = b"".join(self._sent), b"".join(self._heard)
        return Begun(self._address, self._stream.detach(), sent, heard, said)

    def ask(self, operation: int, fields: bytes = b"") -> None:
        """Ask; the reply is read then."""
        self._send(number_bytes(operation) + fields)
        self._expect_last()

    def _expect_last(self) -> None:
        if self.number() != numbers.LAST:
            raise ValueError("more is said than an answer")

    def number(self) -> int:
        """The next number."""
        return int.from_bytes(self._take(8), "little")

    def text(self) -> str:
        """The next text."""
        size = self._length()
        return str(self._take(size + -size % 8)[:size], "utf-8", "surrogateescape")

    def texts(self) -> list[str]:
        """The next list of texts."""
        return [self.text() for _ in range(self._length())]

    def count(self) -> int | None:
        """The next number, or that there is none."""
        is_known = self.number()
        return self.number() if is_known else None

    def record(self, layout: tuple[tuple[str, str], ...]) -> SimpleNamespace:
        """The next record, by its layout (`protocol.numbers`)."""
        return SimpleNamespace(**{name: self._value(kind) for name, kind in layout})

    def records(self, layout: tuple[tuple[str, str], ...]) -> list[SimpleNamespace]:
        """The next list of records."""
        return [self.record(layout) for _ in range(self._length())]

    def _value(self, kind: str) -> Any:
        if kind.isupper():
            return self.records(getattr(numbers, kind))
        return getattr(self, kind)()

    def _length(self) -> int:
        length = self.number()
        if length > _MOST:
            raise ValueError("too long")
        return length

    def _take(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            more = self._stream.recv(_PIECE)
            if not more:
                raise ValueError("the daemon has gone")
            self._heard.append(more)
            self._data, self._at = self._data[self._at :] + more, 0
        self._at += size
        return self._data[self._at - size : self._at]

    def _send(self, data: bytes) -> None:
        self._sent.append(data)
        self._stream.sendall(data)


def number_bytes(*values: int) -> bytes:
    """Numbers as they are sent."""
    return b"".join(value.to_bytes(8, "little") for value in values)


def text_bytes(text: str) -> bytes:
    """A text as it is sent."""
    data = text.encode()
    return number_bytes(len(data)) + data + bytes(-len(data) % 8)
