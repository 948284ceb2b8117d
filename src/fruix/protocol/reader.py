"""Where bytes come from: buffered exact reads, with a budget, over anything that can be asked for more.

No sockets here: a `Source` is given a function `receive(limit) -> bytes` (1 to `limit` bytes, empty
at the end of the stream), so that tests and replays read from memory with the code that the daemon
and the clients run.

Rules: memory grows only with bytes that have really arrived, never with a length that was merely
announced; each message has a limit (`expect`), and what goes beyond it is a `ProtocolError`.
Streams (archives, framed data) are read by `read_some` and are not limited. Costs: a read that the
buffer can satisfy is one slice.

What exact reads give is held until the message has been dealt with, and is charged to an account,
if there is one: twice the bytes (raw and parsed) and `OBJECT` for each read. When the account
refuses, the rest of the message is read and dropped, so that the connection can go on; `check` then
raises the refusal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol

from fruix.errors import DisconnectedError, MemoryLimitError, ProtocolError

# One receive takes at most this much: small messages come whole, and big streams in few system
# calls.
CHUNK = 1 << 16
# What one message (a request's or a reply's fields) may hold. Lists of 10^5 paths are usual: 8 MB.
MESSAGE_LIMIT = 64 << 20

# Bytes that the objects made from one read take besides its bytes: a bytes object, a text, a store
# path, places in two lists.
OBJECT = 200
# What a message may hold without asking the account, and the least that it is asked for.
FREE = 1 << 16
_STEP = 1 << 18
_UNLIMITED = 1 << 62

_U64 = struct.Struct("<Q")


class Account(Protocol):
    """Counts what a peer's messages hold in memory."""

    def take(self, size: int) -> None:
        """Count bytes; raises `MemoryLimitError` if they are too many."""

    def give(self, size: int) -> None:
        """Count `size` bytes less: what `take` counted is no longer held."""


class Source:
    """Bytes from a peer, in order."""

    __slots__ = ("_at", "_data", "_left", "_receive", "_room", "_taken", "account", "refusal")

    def __init__(self, receive: Callable[[int], bytes], account: Account | None = None) -> None:
        self._receive = receive
        self.account = account
        self._room = _UNLIMITED if account is None else FREE
        self._taken = 0
        self.refusal: MemoryLimitError | None = None
        self._data = b""
        self._at = 0
        self._left = MESSAGE_LIMIT

    @classmethod
    def of(cls, data: bytes) -> Source:
        """A source that holds `data` and nothing more."""
        source = cls(lambda _: b"")
        source._data = data
        return source

    @property
    def buffered(self) -> int:
        """Bytes that have arrived and were not read yet."""
        return len(self._data) - self._at

    def take_back(self) -> bytes:
        """All that has arrived, if nothing of it was read yet; it has to be fed again to be read."""
        if self._at:
            return b""
        data, self._data = self._data, b""
        return data

    def expect(self, budget: int = MESSAGE_LIMIT) -> None:
        """A new message begins: exact reads from now on may take `budget` bytes in total."""
        self._left = budget

    def release(self) -> None:
        """Nothing of what was read is held any more."""
        if self.account is None:
            return
        if self._taken:
            self.account.give(self._taken)
            self._taken = 0
        self._room = FREE
        self.refusal = None

    def charge(self, size: int) -> bool:
        """Count what will be held besides the bytes read; False: it is refused, and nothing may be held."""
        self._room -= size
        return self._room >= 0 or self._ask()

    def check(self) -> None:
        """Raise the refusal, if there was one."""
        if self.refusal is not None:
            raise self.refusal

    def _ask(self) -> bool:
        """Have the account give enough for what was counted already; after a refusal it isn't asked again."""
        if self.account is None:
            self._room = _UNLIMITED
        elif self.refusal is None:
            size = max(_STEP, -self._room)
            try:
                self.account.take(size)
            except MemoryLimitError as error:
                self.refusal = error
            else:
                self._taken += size
                self._room += size
        return self.refusal is None

    def feed(self, data: bytes) -> bool:
        """Take what has arrived when all was read that arrived before; False: that is the end."""
        self._data = data
        self._at = 0
        return bool(data)

    def at_end(self) -> bool:
        """Whether the peer has closed its side and nothing is left; waits if that isn't known yet."""
        return self._at >= len(self._data) and not self._fill()

    def read_exact(self, size: int) -> bytes:
        """Exactly `size` bytes, or none after a refusal.

        Raises:
            DisconnectedError: the stream ends before.
            ProtocolError: more than the message's limit.
        """
        self._count(size)
        at = self._at
        end = at + size
        if end > len(self._data):
            return self._gather(size)
        self._at = end
        return self._data[at:end] if self.charge(2 * size + OBJECT) else b""

    def skip(self, size: int) -> None:
        """Read and drop `size` bytes of a message."""
        self._count(size)
        while size:
            size -= len(self.read_some(min(size, CHUNK)))

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ProtocolError(f"message too long: {size} more bytes announced than allowed")

    def u64(self) -> int:
        """A little-endian 64 bit number."""
        at = self._at
        if at + 8 <= len(self._data):
            self._at = at + 8
            self._left -= 8
            return int.from_bytes(self._data[at : at + 8], "little")
        self._count(8)
        number = b""
        while len(number) < 8:
            number += self.read_some(8 - len(number))
        return int.from_bytes(number, "little")

    def read_some(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes of a stream: what is there, else what arrives next.

        Raises:
            DisconnectedError: the stream ends here.
        """
        if not self.buffered and not self._fill():
            raise DisconnectedError(
                "the peer closed the connection in the middle of a message",
                hint="the daemon may have been stopped: look at its log, then ask again",
            )
        at = self._at
        self._at = min(at + limit, len(self._data))
        return self._data[at : self._at]

    def unread(self, data: bytes) -> None:
        """Give back the last bytes that `read_some` returned."""
        self._data = data + self._data[self._at :]
        self._at = 0

    def _fill(self) -> bool:
        return self.feed(self._receive(CHUNK))

    def _gather(self, size: int) -> bytes:
        """Collect pieces as they arrive; nothing is allocated, or charged, in advance."""
        pieces: list[bytes] = []
        self.charge(OBJECT)
        while size:
            piece = self.read_some(size)
            size -= len(piece)
            if self.charge(2 * len(piece)):
                pieces.append(piece)
            else:
                pieces.clear()
        return b"".join(pieces)


class FramedSource(Source):
    """A framed stream: length-prefixed pieces, ended by an empty one; itself a source of the bytes within.

    Reading beyond the last frame is the end of the stream, which `at_end` tells and reads answer
    with `ProtocolError`. After any error `drain` brings the outer source behind the stream, so that
    the connection can go on.
    """

    __slots__ = ("_frame", "_outer", "ended")

    def __init__(self, outer: Source) -> None:
        super().__init__(self._next, outer.account)
        self._outer = outer
        self._frame = 0
        self.ended = False

    def read_some(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes.

        Raises:
            ProtocolError: the framed stream has ended.
        """
        if self.at_end():
            raise ProtocolError("the framed stream ended before what it should hold")
        return super().read_some(limit)

    def chunks(self) -> Iterator[bytes]:
        """All that is left, piece by piece."""
        while not self.at_end():
            yield super().read_some(CHUNK)

    def drain(self) -> None:
        """Read and drop what is left of the framed stream."""
        for _ in self.chunks():
            pass

    def _next(self, limit: int) -> bytes:
        if self.ended:
            return b""
        if not self._frame:
            self._outer.expect()
            self._frame = self._outer.u64()
            if not self._frame:
                self.ended = True
                return b""
        data = self._outer.read_some(min(limit, self._frame))
        self._frame -= len(data)
        return data


def frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The framed form of a stream."""
    for chunk in chunks:
        if chunk:
            yield _U64.pack(len(chunk))
            yield chunk
    yield _U64.pack(0)
