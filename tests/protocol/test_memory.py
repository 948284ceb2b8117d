"""What a message holds in memory is counted rightly, and what is refused is not held."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fruix.errors import MemoryLimitError
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.build_codecs import DERIVED
from fruix.protocol.compound import List, Map
from fruix.protocol.model_codecs import PATHS
from fruix.protocol.options import NIX_OPTIONS, ClientOptions
from fruix.protocol.reader import CHUNK, FREE, FramedSource, Source, frames
from fruix.protocol.streams import read_objects, write_objects
from fruix.protocol.wire import NAME, OCTETS, TEXT, Codec, Context, Dialect, write_u64

CONTEXT = Context(Dialect.NIX, 38, "/frx/store")
MIB = 1 << 20


class Purse:
    """An account that refuses beyond `most`."""

    def __init__(self, most: int = 1 << 40) -> None:
        self.most = most
        self.taken = 0
        self.highest = 0

    def take(self, size: int) -> None:
        if self.taken + size > self.most:
            raise MemoryLimitError("too much")
        self.taken += size
        self.highest = max(self.highest, self.taken)

    def give(self, size: int) -> None:
        self.taken -= size


def dripping(data: bytes, account: Purse) -> Source:
    pieces: Iterator[bytes] = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
    return Source(lambda _: next(pieces, b""), account)


def encoded(codec: Codec[Any], value: Any) -> bytes:
    sink = bytearray()
    codec.write(sink, value, CONTEXT)
    return bytes(sink)


def measured(act: Callable[[], Any]) -> tuple[Any, int, int]:
    """The result, the bytes that it holds, and the most that there were meanwhile."""
    tracemalloc.start()
    try:
        result = act()
        return result, *tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


PATH = f"/frx/store/{'a' * 32}-name"
BIG: list[tuple[Codec[Any], Any]] = [
    (List(NAME), [f"{number:02x}" for number in range(256)] * 1000),
    (List(NAME), ["ab" * 50 + str(number) for number in range(50_000)]),
    (PATHS, [StorePath.parse(f"{PATH}{number}") for number in range(50_000)]),
    (List(DERIVED), [DERIVED.parse(f"{PATH}{number}.drv!out".encode(), CONTEXT) for number in range(50_000)]),
    (
        List(DERIVED),
        [
            DERIVED.parse(f"{PATH}{number}.drv!{','.join(f'{n:x}' for n in range(1000))}".encode(), CONTEXT)
            for number in range(200)
        ],
    ),
    (Map(NAME, TEXT), {f"{number:05}": "xy" for number in range(60_000)}),
    (Map(TEXT, TEXT), {f"{number}": "xy" * 50_000 for number in range(100)}),
    (OCTETS, b"x" * (20 * MIB + 3)),
]


@pytest.mark.parametrize(("codec", "value"), BIG, ids=range(len(BIG)))
def test_what_is_counted_is_what_is_held(codec: Codec[Any], value: Any) -> None:
    data, account = encoded(codec, value), Purse()
    source = dripping(data, account)
    source.expect(1 << 40)

    def read() -> tuple[Any, Any]:
        raw = codec.read(source, CONTEXT)
        return raw, codec.parse(raw, CONTEXT)

    result, held, highest = measured(read)
    assert len(result[1]) == len(value)
    assert held <= account.taken + FREE
    assert highest <= 1.1 * account.taken + 8 * CHUNK
    assert account.taken <= 8 * held  # nor is anybody refused for nothing
    source.release()
    assert account.taken == 0


@pytest.mark.parametrize(("codec", "value"), BIG, ids=range(len(BIG)))
def test_what_is_refused_is_read_but_not_held(codec: Codec[Any], value: Any) -> None:
    account = Purse(MIB)
    source = dripping(encoded(codec, value) + (77).to_bytes(8, "little"), account)
    source.expect(1 << 40)
    _, held, highest = measured(lambda: codec.read(source, CONTEXT))
    assert held < 2 * MIB
    assert highest < 4 * MIB
    with pytest.raises(MemoryLimitError):
        source.check()
    assert source.u64() == 77  # what follows is where it should be
    source.release()
    source.check()
    assert account.taken == 0


def test_settings_that_mean_nothing_are_dropped_while_they_are_read() -> None:
    settings = {f"setting-{number}": "x" * 900_000 for number in range(60)}
    data = encoded(NIX_OPTIONS, ClientOptions(overrides={**settings, "cores": "3"}))
    account = Purse()
    source = dripping(data, account)
    raw, _, highest = measured(lambda: NIX_OPTIONS.read(source, CONTEXT))
    assert highest < MIB
    assert account.highest < MIB
    assert NIX_OPTIONS.parse(raw, CONTEXT).overrides == {**dict.fromkeys(settings, ""), "cores": "3"}


def test_each_object_of_a_stream_is_counted_by_itself() -> None:
    references = tuple(StorePath.parse(f"{PATH}{number}") for number in range(2000))
    info = PathInfo(references[0], Hash.of("sha256", b""), 0, references)
    archive = b"".join(encoded_file(b"contents"))
    objects = [(info, iter([archive]))] * 20
    body = b"".join(frames(write_objects([(info, iter([archive])) for info, _ in objects], 20, CONTEXT)))
    account = Purse()
    found = 0
    for _, archive_body in read_objects(FramedSource(dripping(body, account)), CONTEXT):
        found += len(b"".join(archive_body.chunks()))
    assert found == 20 * len(archive)
    assert account.highest < 3 * 2000 * 500
    poor = Purse(FREE)
    with pytest.raises(MemoryLimitError):
        next(read_objects(FramedSource(dripping(body, poor)), CONTEXT))


def encoded_file(contents: bytes) -> Iterator[bytes]:
    from fruix.model.nar import write

    yield write.MAGIC
    yield write.file_head(len(contents), executable=False)
    yield contents
    yield write.file_tail(len(contents))


def test_small_messages_ask_nobody() -> None:
    account = Purse(0)
    source = dripping(encoded(PATHS, [StorePath.parse(f"{PATH}{number}") for number in range(100)]), account)
    assert len(PATHS.read(source, CONTEXT)) == 100
    source.check()


def test_a_count_alone_costs_nothing() -> None:
    sink = bytearray()
    write_u64(sink, 4_000_000)
    account = Purse()
    source = dripping(bytes(sink) + bytes(8 * 3000), account)
    with pytest.raises(Exception, match="closed the connection"):
        List(NAME).read(source, CONTEXT)
    assert account.taken < MIB
