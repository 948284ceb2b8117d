"""Work that the daemon does for a client ends when the client goes or the daemon stops.

Hashing what lies here would take weeks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.serving import Running, running
from fruix.errors import FruixError
from fruix.model.finding import Finding
from machine import SEVERAL_IDS
from waiting import PATIENCE, until


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def begin(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A store that holds a file of eight tebibytes; set when it begins to be read."""
    path = daemon.store.add_text("big", b"x")
    real = daemon.store.real(path)
    os.chmod(real, 0o644)
    os.truncate(real, 1 << 43)
    begun = threading.Event()
    read = daemon.store.verify

    def reading(**how: bool) -> list[Finding]:
        begun.set()
        return read(**how)

    monkeypatch.setattr(daemon.store, "verify", reading)
    return begun


@SEVERAL_IDS
@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("end", ["the client goes", "the daemon stops"])
def test_verifying(daemon: Running, repair: bool, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begin(daemon, monkeypatch)
    said: list[str] = []
    with daemon.connect() as store:

        def verify() -> None:
            try:
                store.verify(contents=True, repair=repair)
            except (FruixError, OSError) as error:
                said.append(str(error))

        thread = threading.Thread(target=verify)
        thread.start()
        assert begun.wait(PATIENCE)
        if end == "the client goes":
            daemon.plugged[0].shutdown(2)
        else:
            daemon.server.stop()
        thread.join(PATIENCE)
    until(lambda: daemon.server.connections == 0, "the end of the session")
    if end == "the daemon stops":
        assert said == ["the daemon is shutting down"]
