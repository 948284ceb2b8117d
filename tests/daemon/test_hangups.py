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
