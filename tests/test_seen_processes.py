"""Looks at processes that end meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

import seen_processes
from waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="machine: there is no /proc")


def test_a_process_lives_until_it_ends() -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
    assert seen_processes.lives(pid)
    assert seen_processes.parent_of(pid) == os.getpid()
    assert pid in seen_processes.children_of(os.getpid())
    assert seen_processes.descriptors_of(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: seen_processes.state_of(pid) == "Z", "its end")
    assert not seen_processes.lives(pid)
    os.waitpid(pid, 0)
    assert seen_processes.state_of(pid) == ""
    assert not seen_processes.lives(pid)
    assert [*seen_processes.children_of(pid), *seen_processes.descriptors_of(pid)] == []
    with pytest.raises(ProcessLookupError, match=str(pid)):
        seen_processes.parent_of(pid)


def test_one_that_ends_between_opening_and_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_path: Path, **_how: str) -> str:
        raise ProcessLookupError

    monkeypatch.setattr(Path, "read_text", read)
    assert not seen_processes.lives(os.getpid())
    assert seen_processes.children_of(os.getpid()) == []
    with pytest.raises(ProcessLookupError):
        seen_processes.parent_of(os.getpid())
