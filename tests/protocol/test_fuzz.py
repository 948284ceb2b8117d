"""Whatever a client sends, the parser answers with our own errors, and memory stays bounded."""

from __future__ import annotations

import random
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fruix.errors import FruixError
from fruix.protocol import handshake, messages
from fruix.protocol.operations import operations
from fruix.protocol.reader import FramedSource, Source
from fruix.protocol.records import Body
from fruix.protocol.streams import read_objects, request_body
from fruix.protocol.wire import Context, Dialect
from protocol.replay import SESSIONS, recording, side

STORE = "/frx/store"
MEMORY = 8 << 20
ROUNDS = 60
EXTREMES = [0, 1, 2**31, 2**32, 2**63, 2**64 - 1, 2**64 - 8]


def serve(data: bytes) -> int:
    """The reading half of a session, over all requests that there are; returns how many it took."""
    source = Source.of(data)
    count = 0
    try:
        context = handshake.serve(source, lambda _: None, directory=STORE, version="x", trusted=False)
        table = operations(context)
        while source.buffered:
            source.expect()
            if not request(source, context, table[source.u64()] if source.buffered >= 8 else table[1]):
                break
            count += 1
    except FruixError:
        pass
    except KeyError:
        pass  # an unknown operation, which ends a session
    return count


def request(source: Source, context: Context, row: object) -> bool:
    from fruix.protocol.records import Operation

    assert isinstance(row, Operation)
    raw = row.request.read(source, context)
    body = request_body(row.body, source, lambda _: None)
    try:
        row.request.parse(raw, context)
        if row.number == 44 and isinstance(body, FramedSource):
            for _, archive in read_objects(body, context):
                archive.drain()
    except FruixError:
        pass
    body.drain()
    return row.body is not Body.MESSAGES


def bounded(data: bytes) -> None:
    tracemalloc.start()
    try:
        serve(data)
        assert tracemalloc.get_traced_memory()[1] < MEMORY + 8 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", SESSIONS)
def test_recordings_as_they_are(name: str) -> None:
    session = recording(name)
    done = serve(side(session, "c"))
    # What was recorded against READ messages can't be followed without the server's half.
    expected = session["ops"].index(27) if 27 in session["ops"] else len(session["ops"])
    assert done == expected


@pytest.mark.parametrize("name", SESSIONS)
def test_damaged_recordings(name: str) -> None:
    data = side(recording(name), "c")
    dice = random.Random(name)
    for _ in range(ROUNDS):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
        bounded(bytes(broken))
        at = dice.randrange(0, len(data) // 8) * 8
        bounded(data[:at] + dice.choice(EXTREMES).to_bytes(8, "little") + data[at + 8 :])
        bounded(data[: dice.randrange(len(data))])


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0x22, 0x26) | st.integers(0x60, 0x70), st.lists(st.integers(0, 90) | st.binary(max_size=60))
)
def test_noise_after_a_greeting(minor: int, parts: list[int | bytes]) -> None:
    head = [handshake.CLIENT_MAGIC, 0x100 | minor, *([0] if minor == 0x26 else []), 0, 0]
    noise = [part.to_bytes(8, "little") if isinstance(part, int) else part for part in parts]
    bounded(b"".join(number.to_bytes(8, "little") for number in head) + b"".join(noise))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    bounded(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(messages.Code), st.binary(max_size=200), st.booleans())
def test_noise_from_a_daemon(code: messages.Code, data: bytes, guix: bool) -> None:
    context = Context(Dialect.GUIX, 0x64, STORE) if guix else Context(Dialect.NIX, 38, STORE)
    with suppress(FruixError):
        messages.read(Source.of(code.to_bytes(8, "little") + data), context)
