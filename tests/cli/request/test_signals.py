"""A signal ends the wait for the daemon, whichever thread gets it."""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest

from fruix.cli.request.signals import heard
from fruix.client import RemoteStore
from fruix.model.storepath import StorePath
from fruix.protocol import handshake, messages
from fruix.protocol.reader import Source
from seen_processes import state_of
from waiting import PATIENCE, until

PATH = StorePath.of("/frx/store", "0" * 32 + "-x")


def sleeps() -> bool:
    return state_of(f"self/task/{os.getpid()}") == "S"


def hear_request(stream: socket.socket) -> None:
    """Greet a client as a daemon does, and hear the number of its first request."""
    source = Source(stream.recv)
    handshake.serve(source, stream.sendall, directory="/frx/store", version="slow", trusted=True)
    stream.sendall(messages.LAST)
    source.expect()
    source.u64()


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="machine: what threads do is told by Linux")
def test_a_signal_that_another_thread_gets() -> None:
    mine, theirs = socket.socketpair()
    ended = threading.Event()

    def serve() -> None:
        with theirs:
            hear_request(theirs)  # a request, which gets no answer
            until(sleeps, "the client waits")
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            ended.wait(PATIENCE)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with RemoteStore(mine) as store, pytest.raises(KeyboardInterrupt), heard(store):
            store.is_valid(PATH)
    finally:
        ended.set()
        thread.join()


def test_what_is_answered_while_signals_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: told.set())
    mine, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            hear_request(theirs)
            os.kill(os.getpid(), signal.SIGUSR1)
            told.wait(PATIENCE)
            theirs.sendall(messages.LAST + bytes([1, *bytes(7)]))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with RemoteStore(mine) as store:
            with heard(store):
                assert store.is_valid(PATH)
            assert signal.set_wakeup_fd(-1) == -1
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
