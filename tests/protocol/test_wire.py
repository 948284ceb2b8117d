from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import DisconnectedError, FormatError, ProtocolError
from fruix.protocol.compound import List, Map, Maybe
from fruix.protocol.reader import CHUNK, FramedSource, Source, frames
from fruix.protocol.wire import (
    BOOL,
    I64,
    NAME,
    OCTETS,
    TEXT,
    U64,
    Codec,
    Context,
    Dialect,
    Number,
)

CONTEXT = Context(Dialect.NIX, 38, "/frx/store")


def dripping(data: bytes, size: int) -> Source:
    """Gives at most `size` bytes at once."""
    pieces: Iterator[bytes] = iter([data[at : at + size] for at in range(0, len(data), size)])
    return Source(lambda _: next(pieces, b""))


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        (U64, 0x0102, u64(0x0102)),
        (I64, -1, b"\xff" * 8),
        (BOOL, True, u64(1)),
        (TEXT, "", u64(0)),
        (TEXT, "abc", u64(3) + b"abc\0\0\0\0\0"),
        (OCTETS, b"12345678", u64(8) + b"12345678"),
        (List(NAME), ("a",), u64(1) + u64(1) + b"a\0\0\0\0\0\0\0"),
        (Map(NAME, U64), {"a": 2}, u64(1) + u64(1) + b"a\0\0\0\0\0\0\0" + u64(2)),
        (Maybe(U64), None, u64(0)),
        (Maybe(U64), 5, u64(1) + u64(5)),
    ],
)
def test_forms(codec: Codec[Any], value: Any, data: bytes) -> None:
    sink = bytearray()
    codec.write(sink, value, CONTEXT)
    assert bytes(sink) == data
    for size in (1, 3, 8, 1000):
        assert codec.parse(codec.read(dripping(data, size), CONTEXT), CONTEXT) == value


def test_any_number_but_zero_is_true() -> None:
    assert BOOL.parse(BOOL.read(Source.of(u64(7)), CONTEXT), CONTEXT) is True


@pytest.mark.parametrize("length", [2**31, 2**32, 2**63, 2**64 - 1, 2**64 - 8, (1 << 20) + 1])
@pytest.mark.parametrize("codec", [TEXT, List(U64, limit=100), Map(U64, U64, limit=100)])
def test_lengths_are_limited_and_nothing_is_allocated(codec: Codec[Any], length: int) -> None:
    assert_small(lambda: codec.read(Source.of(u64(length) + bytes(64)), CONTEXT), ProtocolError)


def test_announced_length_within_the_limit_costs_only_what_arrives() -> None:
    assert_small(lambda: OCTETS.read(Source.of(u64(40 << 20) + bytes(64)), CONTEXT), DisconnectedError)
    assert_small(lambda: List(U64).read(Source.of(u64(3_000_000) + bytes(64)), CONTEXT), DisconnectedError)


def assert_small(act: Callable[[], Any], error: type[Exception]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(error):
            act()
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("at", range(3, 8))
def test_padding_must_be_zero(at: int) -> None:
    data = bytearray(b"abc\0\0\0\0\0")
    data[at] = 1
    with pytest.raises(ProtocolError, match="padded"):
        TEXT.read(Source.of(u64(3) + data), CONTEXT)


def test_messages_have_a_budget() -> None:
    source = Source.of(u64(64) + bytes(64))
    source.expect(70)
    with pytest.raises(ProtocolError, match="too long"):
        TEXT.read(source, CONTEXT)


def test_maps_have_each_key_once() -> None:
    raw = Map(NAME, U64).read(Source.of(u64(2) + (u64(0) + u64(1)) * 2), CONTEXT)
    with pytest.raises(FormatError, match="twice"):
        Map(NAME, U64).parse(raw, CONTEXT)


def test_numbers_can_be_limited_and_tags_are_0_or_1() -> None:
    with pytest.raises(ProtocolError, match="at most 3"):
        Number(3).read(Source.of(u64(4)), CONTEXT)
    with pytest.raises(ProtocolError, match="tag 2"):
        Maybe(U64).read(Source.of(u64(2)), CONTEXT)


@given(st.lists(st.binary(max_size=50)), st.binary(min_size=8, max_size=20), st.integers(1, 40))
def test_framed_streams(pieces: list[bytes], behind: bytes, size: int) -> None:
    data = b"".join(frames(iter(pieces)))
    outer = dripping(data + behind, size)
    framed = FramedSource(outer)
    assert b"".join(framed.chunks()) == b"".join(pieces)
    assert framed.ended
    outer.expect()
    assert outer.read_exact(len(behind)) == behind


def test_framed_stream_can_be_left_anywhere() -> None:
    outer = Source.of(u64(4) + b"abcd" + u64(2) + b"ef" + u64(0) + b"behind..")
    framed = FramedSource(outer)
    assert framed.read_exact(5) == b"abcde"
    framed.drain()
    framed.drain()
    assert outer.read_exact(8) == b"behind.."
    with pytest.raises(ProtocolError, match="ended before"):
        framed.read_exact(1)


def test_a_huge_frame_is_streamed() -> None:
    arrived = iter([u64(1 << 62), *[bytes(CHUNK)] * 8])
    framed = FramedSource(Source(lambda _: next(arrived, b"")))
    with pytest.raises(DisconnectedError):
        framed.drain()


def test_unread() -> None:
    source = Source.of(b"abcdef")
    assert source.read_some(4) == b"abcd"
    source.unread(b"cd")
    assert source.read_exact(4) == b"cdef"
    assert source.at_end()
