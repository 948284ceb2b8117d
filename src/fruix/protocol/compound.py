"""Codecs of several values: lists, maps, optional values, pairs.

A list is a count and the items; a map is a count, then each key and its value. Every count has a
limit, in the table that uses the codec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from fruix.dataclass import dataclass
from fruix.errors import FormatError, ProtocolError
from fruix.overriding import override
from fruix.protocol.reader import Source
from fruix.protocol.wire import Codec, Context, write_u64

T = TypeVar("T")
K = TypeVar("K")

# Limits of counts.
LIST_LIMIT = 4_000_000
MAP_LIMIT = 1 << 16
# Lists are read in runs of so many items; bytes that a pair takes besides what it consists of.
RUN = 1 << 10
PAIR = 200


def read_items(source: Source, limit: int, read: Callable[[], T]) -> list[T]:
    """Read a count and as many items.

    The list grows with what arrives; after a refusal (`Source.charge`) it is empty.
    """
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


def read_count(source: Source, limit: int) -> int:
    """Read the count of a list or map.

    Raises:
        ProtocolError: more than `limit`.
    """
    count = source.u64()
    if count > limit:
        raise ProtocolError(f"list of {count} items where at most {limit} are allowed")
    return count


@dataclass(frozen=True, slots=True)
class List(Codec[tuple[T, ...]], Generic[T]):
    """A count and items, as a tuple; `ordered` ones (sets) are written sorted."""

    item: Codec[T]
    limit: int = LIST_LIMIT
    ordered: bool = False

    @override
    def read(self, source: Source, context: Context) -> list[Any]:
        read = self.item.read
        return read_items(source, self.limit, lambda: read(source, context))

    @override
    def parse(self, raw: Any, context: Context) -> tuple[T, ...]:
        parse = self.item.parse
        return tuple([parse(item, context) for item in raw])

    @override
    def write(self, sink: bytearray, value: Iterable[T], context: Context) -> None:
        items = sorted(value) if self.ordered else list(value)  # type: ignore[type-var]
        write_u64(sink, len(items))
        write = self.item.write
        for item in items:
            write(sink, item, context)


@dataclass(frozen=True, slots=True)
class Map(Codec[dict[K, T]], Generic[K, T]):
    """A count and pairs, as a dictionary; `ordered` ones are written in the order of their keys."""

    key: Codec[K]
    value: Codec[T]
    limit: int = MAP_LIMIT
    ordered: bool = True

    @override
    def read(self, source: Source, context: Context) -> list[tuple[Any, Any]]:

        def pair() -> tuple[Any, Any]:
            source.charge(PAIR)
            return self.key.read(source, context), self.value.read(source, context)

        return read_items(source, self.limit, pair)

    @override
    def parse(self, raw: Any, context: Context) -> dict[K, T]:
        found = {self.key.parse(key, context): self.value.parse(value, context) for key, value in raw}
        if len(found) != len(raw):
            raise FormatError("a key occurs twice in a map")
        return found

    @override
    def write(self, sink: bytearray, value: Mapping[K, T], context: Context) -> None:
        write_u64(sink, len(value))
        for key in sorted(value) if self.ordered else value:  # type: ignore[type-var]
            self.key.write(sink, key, context)
            self.value.write(sink, value[key], context)


@dataclass(frozen=True, slots=True)
class Maybe(Codec[T | None], Generic[T]):
    """0 for None, or 1 and a value."""

    item: Codec[T]

    @override
    def read(self, source: Source, context: Context) -> tuple[Any] | None:
        tag = source.u64()
        if tag > 1:
            raise ProtocolError(f"tag {tag} where 0 or 1 should be")
        return (self.item.read(source, context),) if tag else None

    @override
    def parse(self, raw: Any, context: Context) -> T | None:
        return None if raw is None else self.item.parse(raw[0], context)

    @override
    def write(self, sink: bytearray, value: T | None, context: Context) -> None:
        write_u64(sink, int(value is not None))
        if value is not None:
            self.item.write(sink, value, context)


@dataclass(frozen=True, slots=True)
class Pair(Codec[tuple[K, T]], Generic[K, T]):
    """One value after the other, as a tuple."""

    first: Codec[K]
    second: Codec[T]

    @override
    def read(self, source: Source, context: Context) -> tuple[Any, Any]:
        return self.first.read(source, context), self.second.read(source, context)

    @override
    def parse(self, raw: Any, context: Context) -> tuple[K, T]:
        return self.first.parse(raw[0], context), self.second.parse(raw[1], context)

    @override
    def write(self, sink: bytearray, value: tuple[K, T], context: Context) -> None:
        self.first.write(sink, value[0], context)
        self.second.write(sink, value[1], context)
