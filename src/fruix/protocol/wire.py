"""The primitives of the worker protocol as codecs: numbers and strings.

A codec does three things: `read` takes a value's raw form off a source and checks only what framing
needs; `parse` turns the raw form into the value that the program works with; `write` appends a
value's bytes to a sink. Reading and parsing are apart so that a request is always read to its end
before anything in it is judged: a bad path is an error of that request, and the connection goes on,
whereas a bad length ends it.

Formats: numbers are 64 bit little endian; strings a length, the bytes and zeros up to a multiple of
8 (anything else there is an error). Every length has a limit, in the table that uses the codec.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from fruix.dataclass import dataclass
from fruix.errors import ProtocolError
from fruix.model.nar.write import PADDINGS
from fruix.overriding import override
from fruix.protocol import numbers
from fruix.protocol.reader import CHUNK, Source

T = TypeVar("T")

# Limits on what a field may hold, in bytes.
NAME_LIMIT = 1 << 12
TEXT_LIMIT = 1 << 20
CONTENTS_LIMIT = 48 << 20


class Dialect(enum.Enum):
    """The two protocols that share one socket; they differ in everything after the greeting."""

    NIX = "nix"
    GUIX = "guix"


FEATURE = numbers.FEATURE


@dataclass(frozen=True, slots=True)
class Context:
    """What both sides agreed on: it decides which fields a message has."""

    dialect: Dialect
    minor: int
    directory: str
    features: frozenset[str] = frozenset()


class Codec(ABC, Generic[T]):
    """One kind of value on the wire; see the module's description."""

    __slots__ = ()

    @abstractmethod
    def read(self, source: Source, context: Context) -> Any:
        """Take the raw form off `source`; errors here end the connection."""

    @abstractmethod
    def parse(self, raw: Any, context: Context) -> T:
        """Return the value that a raw form stands for; errors here end the request."""

    @abstractmethod
    def write(self, sink: bytearray, value: T, context: Context) -> None:
        """Append the bytes of `value`."""


def read_string(source: Source, limit: int) -> bytes:
    """A string's bytes.

    Raises:
        ProtocolError: longer than `limit`, or padded with something else than zeros.
    """
    size = source.u64()
    if size > limit:
        raise ProtocolError(f"string of {size} bytes where at most {limit} are allowed")
    padding = -size % 8
    if size > CHUNK:  # apart, so that it isn't copied to cut the padding off
        data = source.read_exact(size)
        if any(source.read_exact(padding)):
            raise ProtocolError("string padded with other bytes than zeros")
        return data
    data = source.read_exact(size + padding)
    if not padding:
        return data
    if any(data[size:]):
        raise ProtocolError("string padded with other bytes than zeros")
    return data[:size]


def skip_string(source: Source, limit: int) -> None:
    """Read and drop a string.

    Raises:
        ProtocolError: as for `read_string`.
    """
    size = source.u64()
    if size > limit:
        raise ProtocolError(f"string of {size} bytes where at most {limit} are allowed")
    source.skip(size)
    if any(source.read_exact(-size % 8)):
        raise ProtocolError("string padded with other bytes than zeros")


def write_string(sink: bytearray, data: bytes) -> None:
    """Append a string: its length, its bytes, zeros up to a multiple of 8."""
    sink += len(data).to_bytes(8, "little")
    sink += data
    sink += bytes(-len(data) % 8)


def string_pieces(texts: Iterable[str]) -> list[bytes]:
    """The bytes of strings one after the other, to be joined: where values and codecs would cost too much."""
    pieces: list[bytes] = []
    for text in texts:
        data = text.encode("utf-8", "surrogateescape")
        size = len(data)
        pieces += (size.to_bytes(8, "little"), data, PADDINGS[-size % 8])
    return pieces


def write_u64(sink: bytearray, value: int) -> None:
    """Append a number (0 ≤ value < 2⁶⁴)."""
    sink += value.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Number(Codec[int]):
    """An unsigned number, at most `limit`."""

    limit: int = (1 << 64) - 1

    @override
    def read(self, source: Source, _context: Context) -> int:
        value = source.u64()
        if value > self.limit:
            raise ProtocolError(f"number {value} where at most {self.limit} is allowed")
        return value

    @override
    def parse(self, raw: Any, _context: Context) -> int:
        return int(raw)

    @override
    def write(self, sink: bytearray, value: int, _context: Context) -> None:
        sink += value.to_bytes(8, "little")


class Signed(Codec[int]):
    """A number in two's complement: times."""

    @override
    def read(self, source: Source, _context: Context) -> int:
        return int.from_bytes(source.read_exact(8), "little", signed=True)

    @override
    def parse(self, raw: Any, _context: Context) -> int:
        return int(raw)

    @override
    def write(self, sink: bytearray, value: int, _context: Context) -> None:
        sink += value.to_bytes(8, "little", signed=True)


class Bool(Codec[bool]):
    """0 or 1; anything but 0 is taken for true."""

    @override
    def read(self, source: Source, _context: Context) -> int:
        return source.u64()

    @override
    def parse(self, raw: Any, _context: Context) -> bool:
        return bool(raw)

    @override
    def write(self, sink: bytearray, value: bool, _context: Context) -> None:
        sink += value.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Octets(Codec[bytes]):
    """A string whose bytes are data."""

    limit: int = CONTENTS_LIMIT

    @override
    def read(self, source: Source, _context: Context) -> bytes:
        return read_string(source, self.limit)

    @override
    def parse(self, raw: Any, _context: Context) -> bytes:
        return bytes(raw)

    @override
    def write(self, sink: bytearray, value: bytes, _context: Context) -> None:
        write_string(sink, value)


@dataclass(frozen=True, slots=True)
class Text(Codec[str]):
    """A string as text; bytes that are no UTF-8 survive a round trip (surrogates)."""

    limit: int = TEXT_LIMIT

    @override
    def read(self, source: Source, _context: Context) -> bytes:
        return read_string(source, self.limit)

    @override
    def parse(self, raw: Any, _context: Context) -> str:
        return str(raw, "utf-8", "surrogateescape")

    @override
    def write(self, sink: bytearray, value: str, _context: Context) -> None:
        write_string(sink, value.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class Converted(Codec[T]):
    """A string with a meaning: `from_text` and `to_text` go between the two."""

    from_text: Callable[[str, Context], T]
    to_text: Callable[[T, Context], str]
    limit: int = NAME_LIMIT

    @override
    def read(self, source: Source, _context: Context) -> bytes:
        return read_string(source, self.limit)

    @override
    def parse(self, raw: Any, context: Context) -> T:
        return self.from_text(str(raw, "utf-8", "surrogateescape"), context)

    @override
    def write(self, sink: bytearray, value: T, context: Context) -> None:
        write_string(sink, self.to_text(value, context).encode("utf-8", "surrogateescape"))


class Level(Codec[int]):
    """How important a text is, or how much a client wants to hear: `activities.Level`.

    Nix 2.3 has no level `notice` (2): what is above it has the number before.
    """

    @override
    def read(self, source: Source, _context: Context) -> int:
        return source.u64()

    @override
    def parse(self, raw: Any, context: Context) -> int:
        return int(raw) + (_lacks_notice(context) and raw >= _NOTICE)

    @override
    def write(self, sink: bytearray, value: int, context: Context) -> None:
        sink += (value - (value >= _NOTICE and _lacks_notice(context))).to_bytes(8, "little")


def _lacks_notice(context: Context) -> bool:
    return context.dialect is Dialect.NIX and context.minor < _NOTICE_SINCE


_NOTICE, _NOTICE_SINCE = 2, 26
U64 = Number()
LEVEL = Level()
I64 = Signed()
BOOL = Bool()
NAME = Text(NAME_LIMIT)
TEXT = Text()
OCTETS = Octets()


@dataclass(frozen=True, slots=True)
class Constant(Codec[None]):
    """A field without meaning: written as `value`, dropped when read. No record has an attribute for it."""

    value: Any
    codec: Codec[Any] = U64

    @override
    def read(self, source: Source, context: Context) -> Any:
        return self.codec.read(source, context)

    @override
    def parse(self, raw: Any, context: Context) -> None:
        return None

    @override
    def write(self, sink: bytearray, value: object, context: Context) -> None:
        self.codec.write(sink, self.value, context)
