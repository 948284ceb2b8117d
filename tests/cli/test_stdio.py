"""The protocol on standard input and output: `fruix daemon --stdio`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.serving import Running, running
from fruix.cli.request.stdio import relay
from fruix.client import RemoteStore


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def test_the_daemon_at_the_socket_serves(daemon: Running) -> None:
    ours, theirs = socket.socketpair()
    environment = {**os.environ, "FRUIX_DAEMON_SOCKET": daemon.path}
    words = [sys.executable, "-m", "fruix", "daemon", "--stdio"]
    with (
        ours,
        subprocess.Popen(words, stdin=theirs.fileno(), stdout=theirs.fileno(), env=environment) as process,
    ):
        theirs.close()
        with RemoteStore(ours, daemon.store.directory) as store:
            path = store.add_text("big", bytes(1 << 20))
            assert b"".join(store.nar(path)) == b"".join(daemon.store.nar(path))
        assert process.wait(60) == 0


def test_the_last_words_of_a_daemon_arrive() -> None:
    """They come when the client has said nothing yet, and may say nothing ever."""
    daemon, ours = socket.socketpair()
    reading, writing = os.pipe()
    silent, client = os.pipe()
    daemon.sendall(b"go away")
    daemon.close()
    relay(ours, silent, writing)
    assert os.read(reading, 100) == b"go away"
    for descriptor in (reading, writing, client):
        os.close(descriptor)
    ours.close()
