"""Clients that go away while their session is busy."""

from __future__ import annotations

import socket

import pytest

from fruix.daemon.connection import HangupWatcher


@pytest.mark.usefixtures("either_poll")
def test_a_look_tells_of_all_who_have_gone_up_to_now() -> None:
    """Without waiting for the thread, which here has ended."""
    watcher = HangupWatcher()
    watcher.close()
    watcher._wake = lambda: None  # type: ignore[method-assign]
    pairs = [socket.socketpair() for _ in range(3)]
    try:
        with (
            watcher.watch(pairs[0][1]) as first,
            watcher.watch(pairs[1][1]) as second,
            watcher.watch(pairs[2][1]) as third,
        ):
            events = [first, second, third]
            watcher.look()
            assert [event.is_set() for event in events] == [False, False, False]
            pairs[1][0].close()
            pairs[2][0].send(b"the next request")
            watcher.look()
            assert [event.is_set() for event in events] == [False, True, False]
            watcher.look()
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


@pytest.fixture(params=["RDHUP", "IN"])
def either_poll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux tells when the other side has closed; elsewhere it is found out by reading."""
    import select

    if request.param == "IN":
        monkeypatch.setattr(HangupWatcher, "_EVENTS", select.POLLIN)
        monkeypatch.delattr(select, "epoll", raising=False)


@pytest.mark.usefixtures("either_poll")
def test_who_goes_while_it_is_watched_is_heard_of() -> None:
    """Whether the thread began to wait before or after it was asked to watch."""
    watcher = HangupWatcher()
    try:
        for _ in range(50):
            own, other = socket.socketpair()
            with watcher.watch(own) as gone:
                other.close()
                assert gone.wait(60)
            own.close()
    finally:
        watcher.close()


def test_word_of_an_earlier_client_is_not_taken_for_word_of_the_next() -> None:
    """Descriptors are used again: what the thread heard may be of a connection that is closed by now."""
    watcher = HangupWatcher()
    own, other = socket.socketpair()
    try:
        with watcher.watch(own) as gone:
            watcher._look(own.fileno())
            assert not gone.is_set()
            other.close()
            assert gone.wait(60)
    finally:
        own.close()
        watcher.close()
