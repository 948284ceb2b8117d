"""A daemon in this process, and a connection to it; files whose daemons have settings make their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.serving import Running, running
from fruix.client import RemoteStore
from fruix.daemon import request_loop


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def user(daemon: Running) -> Iterator[RemoteStore]:
    with daemon.connect() as store:
        yield store


@pytest.fixture
def worked_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that came to the handlers."""
    names: list[str] = []
    real = request_loop.RequestLoop._work

    def work(*arguments: object) -> object:
        names.append(arguments[1].name)  # type: ignore[attr-defined]
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(request_loop.RequestLoop, "_work", work)
    return names
