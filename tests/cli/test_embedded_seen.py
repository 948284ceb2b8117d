"""`fruix ps` beside commands that work without a daemon, each with an embedded one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.client import connect
from fruix.errors import NotPermittedError
from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from machine import private_frx
from waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="machine: the store is root's; without root see tests/test_without_root.py"
)

KEPT = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
COMMAND = [sys.executable, "-m", "fruix"]
ENDLESS = (
    "Package(name='endless', version='1', build_system='trivial', "
    "arguments={'script': 'while :; do sleep 0.2; done'})"
)


@pytest.fixture
def frx() -> Iterator[None]:
    with private_frx():
        yield


@pytest.fixture
def building(frx: None) -> Iterator[subprocess.Popen[str]]:
    """A command that builds without a daemon."""
    process = subprocess.Popen(
        [*COMMAND, "build", "-e", ENDLESS],
        env=KEPT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: '"state": "running"' in ps("--json", code=None).stdout, "the build that runs")
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
        until(lambda: "no daemon answers" in ps(code=None).stderr, "the end of the embedded daemon")


def ps(*words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, "ps", *words], env=KEPT, capture_output=True, text=True, check=False)
    assert code in {None, done.returncode}, done.stderr
    return done


def test_builds_of_another_command_are_listed(building: subprocess.Popen[str]) -> None:
    (row,) = [json.loads(line) for line in ps("--json").stdout.splitlines()]
    assert row["name"] == "endless-1"
    assert [client["pid"] for client in row["clients"]] == [building.pid]
    assert "endless-1" in ps().stdout


def test_nothing_else_can_be_asked_for(building: subprocess.Popen[str]) -> None:
    layout = Layout()
    with connect(layout.embedded_socket) as store:
        assert [build.name for build in store.active_builds()] == ["endless-1"]
        with pytest.raises(NotPermittedError, match="embedded in another fruix") as caught:
            store.is_valid(StorePath.of(layout.store, f"{'0' * 32}-x"))
        assert "fruix daemon" in caught.value.hint
        assert [build.name for build in store.active_builds()] == ["endless-1"]


def test_an_interrupted_command_leaves_no_socket(building: subprocess.Popen[str]) -> None:
    building.send_signal(signal.SIGINT)
    building.communicate(timeout=PATIENCE)
    assert not os.path.lexists(Layout().embedded_socket)
    assert "no command builds without one either" in ps(code=1).stderr


def test_a_killed_daemon_s_socket_is_replaced(frx: None) -> None:
    file = Path(Layout().embedded_socket)
    for _ in range(2):
        process = subprocess.Popen(
            [*COMMAND, "build", "-e", ENDLESS], env=KEPT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until(lambda: "endless-1" in ps(code=None).stdout, "the build")
        holder = (file.parent.parent / "daemon.lock").read_text().split()[-1]
        os.kill(int(holder), signal.SIGKILL)
        assert process.wait(PATIENCE) == 1
        assert file.is_socket(), "nobody was left to remove it"
        assert "no daemon answers" in ps(code=1).stderr
