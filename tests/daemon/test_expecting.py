"""A session waits awake for a client that asks at once, sleeps for others, and misses nothing either way."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from daemon.serving import Running
from fruix.client import RemoteStore
from fruix.daemon import expecting
from fruix.daemon.expecting import Expectation
from waiting import until

ASLEEP, AWAKE = [0], [socket.MSG_DONTWAIT]


class Stream:
    """The daemon's side of a socket, which notes how it was asked."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.flags: list[int] = []
        self.late = 0  # how many looks find nothing yet

    def recv(self, limit: int, flags: int = 0) -> bytes:
        self.flags.append(flags)
        if self.late:
            self.late -= 1
            raise BlockingIOError
        return self.stream.recv(limit, flags)


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, client = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1000))
    with ours, client:
        yield Stream(ours), client


@pytest.fixture
def expectation(pair: tuple[Stream, socket.socket]) -> Expectation:
    return Expectation(pair[0])  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expecting, "_has_room", True)
    monkeypatch.setattr(expecting, "_FIRST_ASLEEP", 0)
    monkeypatch.setattr(expecting, "_busy", set())


def clock(monkeypatch: pytest.MonkeyPatch, *, step: float) -> None:
    """A clock that goes on by so many seconds whenever it is read."""
    moments = iter(range(1 << 30))
    monkeypatch.setattr("time.monotonic", lambda: next(moments) * step)


def received(pair: tuple[Stream, socket.socket], expectation: Expectation) -> list[int]:
    """How it was looked for what has arrived already."""
    pair[1].send(b"request")
    pair[0].flags.clear()
    assert expectation.receive(100) == b"request"
    return [*pair[0].flags]


def test_who_asks_at_once_is_waited_for_awake(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, step=10e-6)
    assert [received(pair, expectation) for _ in range(3)] == [AWAKE] * 3


def test_a_look_in_vain_ends_soon_and_the_next_requests_are_slept_for(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, step=10e-6)
    for asleep in (1, 2, 4):
        pair[0].flags.clear()
        with pytest.raises(BlockingIOError):  # the socket's own time-out
            expectation.receive(100)
        looks = pair[0].flags
        assert looks == AWAKE * (len(looks) - 1) + ASLEEP
        assert 1 < len(looks) < 10
        assert [received(pair, expectation) for _ in range(asleep)] == [ASLEEP] * asleep
    assert [received(pair, expectation) for _ in range(2)] == [AWAKE] * 2


def test_what_is_there_before_the_first_look_doesn_t_tell_that_looks_pay(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Client and session have the same processor: the one runs while the other sleeps."""
    clock(monkeypatch, step=10e-6)
    for asleep in (1, 2, 4, 8):
        with pytest.raises(BlockingIOError):
            expectation.receive(100)
        assert [received(pair, expectation) for _ in range(asleep + 1)] == [ASLEEP] * asleep + [AWAKE]


def test_a_look_that_waited_for_what_came_pays(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asleep in (1, 1, 1):
        clock(monkeypatch, step=10e-6)
        with pytest.raises(BlockingIOError):
            expectation.receive(100)
        assert [received(pair, expectation) for _ in range(asleep)] == [ASLEEP] * asleep
        clock(monkeypatch, step=1e-9)
        pair[0].late = 1
        assert received(pair, expectation) == AWAKE * 2


def test_a_client_that_has_just_come_is_slept_for(
    pair: tuple[Stream, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expecting, "_FIRST_ASLEEP", 2)
    clock(monkeypatch, step=10e-6)
    fresh = Expectation(pair[0])  # type: ignore[arg-type]
    assert [received(pair, fresh) for _ in range(4)] == [ASLEEP] * 2 + [AWAKE] * 2


def test_who_takes_its_time_is_slept_for(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, step=0.5)
    assert [received(pair, expectation) for _ in range(4)] == [ASLEEP] * 4


def test_none_is_waited_for_awake_while_another_one_works(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, step=1e-9)
    other, asker = socket.socketpair()
    with other, asker:
        busy = Expectation(other)
        asker.send(b"request")
        assert busy.receive(100) == b"request"
        assert [received(pair, expectation) for _ in range(2)] == [ASLEEP] * 2
        expectation.end()
        busy.end()
        assert received(pair, expectation) == AWAKE
        expectation.end()


def test_none_is_waited_for_awake_on_one_processor(
    pair: tuple[Stream, socket.socket], expectation: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expecting, "_has_room", False)
    assert [received(pair, expectation) for _ in range(3)] == [ASLEEP] * 3


def test_a_client_that_leaves_is_noticed_and_no_session_is_busy_any_more(
    pair: tuple[Stream, socket.socket], expectation: Expectation
) -> None:
    received(pair, expectation)
    assert expecting._busy == {id(expectation)}
    pair[1].close()
    assert expectation.receive(100) == b""
    assert expecting._busy == set()


def test_the_sessions_of_a_daemon_that_have_ended_are_not_busy(daemon: Running, user: RemoteStore) -> None:
    assert user.all_valid_paths() == []
    with daemon.connect() as other:
        assert other.all_valid_paths() == []
    user.close()
    until(lambda: expecting._busy == set(), "both sessions have ended")
