"""A session waits awake for a client that asks at once, sleeps for others, and misses nothing either way."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from fruix.daemon import expecting
from fruix.daemon.expecting import Expectation


class Stream:
    """The daemon's side of a socket, which notes how it was asked."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.flags: list[int] = []

    def recv(self, limit: int, flags: int = 0) -> bytes:
        self.flags.append(flags)
        return self.stream.recv(limit, flags)


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, client = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1000))
    with ours, client:
        yield Stream(ours), client


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expecting, "_has_room", True)


def clock(monkeypatch: pytest.MonkeyPatch, *, step: float) -> None:
    """A clock that goes on by so many seconds whenever it is read."""
    moments = iter(range(1 << 30))
    monkeypatch.setattr("time.monotonic", lambda: next(moments) * step)


def received(pair: tuple[Stream, socket.socket], expectation: Expectation) -> list[int]:
    """How it was looked for what has arrived already."""
    pair[1].send(b"request")
    pair[0].flags.clear()
    assert expectation.receive(100) == b"request"
    return pair[0].flags


def test_who_asks_at_once_is_waited_for_awake(
    pair: tuple[Stream, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, step=10e-6)
    expectation = Expectation(pair[0])  # type: ignore[arg-type]
    assert received(pair, expectation) == [0]
    assert received(pair, expectation) == [socket.MSG_DONTWAIT]
    pair[0].flags.clear()
    with pytest.raises(BlockingIOError):  # the socket's own time-out
        expectation.receive(100)
    awake = pair[0].flags
    assert awake[:-1] == [socket.MSG_DONTWAIT] * (len(awake) - 1)
    assert awake[-1] == 0
    assert 1 < len(awake) < 10


def test_who_takes_its_time_is_slept_for(
    pair: tuple[Stream, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, step=0.5)
    expectation = Expectation(pair[0])  # type: ignore[arg-type]
    assert [received(pair, expectation) for _ in range(3)] == [[0]] * 3


@pytest.mark.parametrize("reason", ["another session is awake", "one processor"])
def test_none_is_waited_for_awake_beside_another_or_on_one_processor(
    pair: tuple[Stream, socket.socket], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    clock(monkeypatch, step=1e-9)
    monkeypatch.setattr(expecting, "_has_room", reason != "one processor")
    expectation = Expectation(pair[0])  # type: ignore[arg-type]
    received(pair, expectation)
    if reason == "one processor":
        assert received(pair, expectation) == [0]
    else:
        with expecting._turn:
            assert received(pair, expectation) == [0]
        assert received(pair, expectation) == [socket.MSG_DONTWAIT]


def test_a_client_that_leaves_meanwhile_is_noticed(pair: tuple[Stream, socket.socket]) -> None:
    expectation = Expectation(pair[0])  # type: ignore[arg-type]
    received(pair, expectation)
    pair[1].close()
    assert expectation.receive(100) == b""
    assert expecting._turn.acquire(blocking=False)
    expecting._turn.release()
