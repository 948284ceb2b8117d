"""The primitives of the worker protocol as codecs: numbers, strings, lists, maps, optional values.

A codec does three things: `read` takes a value's raw form off a source and checks only what framing needs; `parse` turns
the raw form into the value that the program works with; `write` appends a value's bytes to a sink. Reading and parsing
are apart so that a request is always read to its end before anything in it is judged: a bad path is an error of that
request, and the connection goes on, whereas a bad length ends it.

Formats: numbers are 64 bit little endian; strings a length, the bytes and zeros up to a multiple of 8 (anything else
there is an error); lists a count and the items. Every length and count has a limit, in the table that uses the codec.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fruix.errors import FormatError, ProtocolError
from fruix.protocol.reader import CHUNK, Source

T = TypeVar("T")
K = TypeVar("K")

# Limits on what a field may hold, in bytes and items.
NAME_LIMIT = 1 << 12
TEXT_LIMIT = 1 << 20
CONTENTS_LIMIT = 48 << 20
LIST_LIMIT = 4_000_000
MAP_LIMIT = 1 << 16
# Lists are read in runs of so many items; bytes that a pair takes besides what it consists of.
RUN = 1 << 10
PAIR = 200


class Dialect(enum.Enum):
    """The two protocols that share one socket; they differ in everything after the greeting."""

    NIX = "nix"
    GUIX = "guix"


@dataclass(frozen=True, slots=True)
class Context:
    """What both sides agreed on: it decides which fields a message has."""

    dialect: Dialect
    minor: int
    directory: str
    features: frozenset[str] = frozenset()


class Codec(Protocol[T]):
    """See the module's description."""

    def read(self, source: Source, context: Context) -> Any:
        """Take the raw form off `source`; errors here end the connection."""

    def parse(self, raw: Any, context: Context) -> T:
        """The value that a raw form stands for; errors here end the request."""

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


def read_items(source: Source, limit: int, read: Callable[[], T]) -> list[T]:
    """A count and as many items. The list grows with what arrives; after a refusal (`Source.charge`) it is empty."""
    left = read_count(source, limit)
    if left <= RUN:
        return [read() for _ in range(left)]
    items: list[T] = []
    while left:
        run = min(left, RUN)
        items += [read() for _ in range(run)]
        left -= run
        if source.refusal is not None:
            items.clear()
    return items


def write_string(sink: bytearray, data: bytes) -> None:
    """Append a string."""
    sink += len(data).to_bytes(8, "little")
    sink += data
    sink += bytes(-len(data) % 8)


def write_u64(sink: bytearray, value: int) -> None:
    """Append a number (0 ≤ value < 2⁶⁴)."""
    sink += value.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Number:
    """An unsigned number, at most `limit`."""

    limit: int = (1 << 64) - 1

    def read(self, source: Source, _context: Context) -> int:
        """See `Codec`."""
        value = source.u64()
        if value > self.limit:
            raise ProtocolError(f"number {value} where at most {self.limit} is allowed")
        return value

    def parse(self, raw: Any, _context: Context) -> int:
        """See `Codec`."""
        return int(raw)

    def write(self, sink: bytearray, value: int, _context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, value)


class Signed:
    """A number in two's complement: times."""

    def read(self, source: Source, _context: Context) -> int:
        """See `Codec`."""
        return int.from_bytes(source.read_exact(8), "little", signed=True)

    def parse(self, raw: Any, _context: Context) -> int:
        """See `Codec`."""
        return int(raw)

    def write(self, sink: bytearray, value: int, _context: Context) -> None:
        """See `Codec`."""
        sink += value.to_bytes(8, "little", signed=True)


class Bool:
    """0 or 1; anything but 0 is taken for true."""

    def read(self, source: Source, _context: Context) -> int:
        """See `Codec`."""
        return source.u64()

    def parse(self, raw: Any, _context: Context) -> bool:
        """See `Codec`."""
        return bool(raw)

    def write(self, sink: bytearray, value: bool, _context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, int(value))


@dataclass(frozen=True, slots=True)
class Constant:
    """A number without meaning: written as `value`, ignored when read. Takes no part in a layout's values."""

    value: int

    def read(self, source: Source, _context: Context) -> int:
        """See `Codec`."""
        return source.u64()

    def parse(self, _raw: Any, _context: Context) -> int:
        """See `Codec`."""
        return self.value

    def write(self, sink: bytearray, _value: object, _context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, self.value)


@dataclass(frozen=True, slots=True)
class Octets:
    """A string as bytes."""

    limit: int = CONTENTS_LIMIT

    def read(self, source: Source, _context: Context) -> bytes:
        """See `Codec`."""
        return read_string(source, self.limit)

    def parse(self, raw: Any, _context: Context) -> bytes:
        """See `Codec`."""
        return bytes(raw)

    def write(self, sink: bytearray, value: bytes, _context: Context) -> None:
        """See `Codec`."""
        write_string(sink, value)


@dataclass(frozen=True, slots=True)
class Text:
    """A string as text; bytes that are no UTF-8 survive a round trip (surrogates)."""

    limit: int = TEXT_LIMIT

    def read(self, source: Source, _context: Context) -> bytes:
        """See `Codec`."""
        return read_string(source, self.limit)

    def parse(self, raw: Any, _context: Context) -> str:
        """See `Codec`."""
        return str(raw, "utf-8", "surrogateescape")

    def write(self, sink: bytearray, value: str, _context: Context) -> None:
        """See `Codec`."""
        write_string(sink, value.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class List(Generic[T]):
    """A count and items, as a tuple; `ordered` ones (sets) are written sorted, in whatever order they come."""

    item: Codec[T]
    limit: int = LIST_LIMIT
    ordered: bool = False

    def read(self, source: Source, context: Context) -> list[Any]:
        """See `Codec`."""
        read = self.item.read
        return read_items(source, self.limit, lambda: read(source, context))

    def parse(self, raw: Any, context: Context) -> tuple[T, ...]:
        """See `Codec`."""
        parse = self.item.parse
        return tuple([parse(item, context) for item in raw])

    def write(self, sink: bytearray, value: Iterable[T], context: Context) -> None:
        """See `Codec`."""
        items = sorted(value) if self.ordered else list(value)  # type: ignore[type-var]
        write_u64(sink, len(items))
        for item in items:
            self.item.write(sink, item, context)


@dataclass(frozen=True, slots=True)
class Map(Generic[K, T]):
    """A count and pairs, as a dictionary; written in the order of its keys, unless that isn't usual where it stands."""

    key: Codec[K]
    value: Codec[T]
    limit: int = MAP_LIMIT
    ordered: bool = True

    def read(self, source: Source, context: Context) -> list[tuple[Any, Any]]:
        """See `Codec`."""

        def pair() -> tuple[Any, Any]:
            source.charge(PAIR)
            return self.key.read(source, context), self.value.read(source, context)

        return read_items(source, self.limit, pair)

    def parse(self, raw: Any, context: Context) -> dict[K, T]:
        """See `Codec`."""
        found = {self.key.parse(key, context): self.value.parse(value, context) for key, value in raw}
        if len(found) != len(raw):
            raise FormatError("a key occurs twice in a map")
        return found

    def write(self, sink: bytearray, value: Mapping[K, T], context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, len(value))
        for key in sorted(value) if self.ordered else value:  # type: ignore[type-var]
            self.key.write(sink, key, context)
            self.value.write(sink, value[key], context)


@dataclass(frozen=True, slots=True)
class Maybe(Generic[T]):
    """0 for None, or 1 and a value."""

    item: Codec[T]

    def read(self, source: Source, context: Context) -> tuple[Any] | None:
        """See `Codec`."""
        tag = source.u64()
        if tag > 1:
            raise ProtocolError(f"tag {tag} where 0 or 1 should be")
        return (self.item.read(source, context),) if tag else None

    def parse(self, raw: Any, context: Context) -> T | None:
        """See `Codec`."""
        return None if raw is None else self.item.parse(raw[0], context)

    def write(self, sink: bytearray, value: T | None, context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, int(value is not None))
        if value is not None:
            self.item.write(sink, value, context)


@dataclass(frozen=True, slots=True)
class Pair(Generic[K, T]):
    """One value after the other, as a tuple."""

    first: Codec[K]
    second: Codec[T]

    def read(self, source: Source, context: Context) -> tuple[Any, Any]:
        """See `Codec`."""
        return self.first.read(source, context), self.second.read(source, context)

    def parse(self, raw: Any, context: Context) -> tuple[K, T]:
        """See `Codec`."""
        return self.first.parse(raw[0], context), self.second.parse(raw[1], context)

    def write(self, sink: bytearray, value: tuple[K, T], context: Context) -> None:
        """See `Codec`."""
        self.first.write(sink, value[0], context)
        self.second.write(sink, value[1], context)


@dataclass(frozen=True, slots=True)
class Converted(Generic[T]):
    """A string with a meaning: `from_text` and `to_text` go between the two."""

    from_text: Callable[[str, Context], T]
    to_text: Callable[[T, Context], str]
    limit: int = NAME_LIMIT

    def read(self, source: Source, _context: Context) -> bytes:
        """See `Codec`."""
        return read_string(source, self.limit)

    def parse(self, raw: Any, context: Context) -> T:
        """See `Codec`."""
        return self.from_text(str(raw, "utf-8", "surrogateescape"), context)

    def write(self, sink: bytearray, value: T, context: Context) -> None:
        """See `Codec`."""
        write_string(sink, self.to_text(value, context).encode("utf-8", "surrogateescape"))


def read_count(source: Source, limit: int) -> int:
    """A list's or map's count."""
    count = source.u64()
    if count > limit:
        raise ProtocolError(f"list of {count} items where at most {limit} are allowed")
    return count


U64 = Number()
I64 = Signed()
BOOL = Bool()
NAME = Text(NAME_LIMIT)
TEXT = Text()
OCTETS = Octets()
