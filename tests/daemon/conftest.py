"""A daemon in this process, and a connection to it; files whose daemons have settings make their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.serving import Running, running
from fruix.client import RemoteStore


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def user(daemon: Running) -> Iterator[RemoteStore]:
    with daemon.connect() as store:
        yield store
