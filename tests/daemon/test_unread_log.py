"""A daemon whose log pipe has lost its reader works on, ends its builds at SIGTERM, and exits with 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fruix.client import connect
from fruix.daemon import log_handler
from fruix.errors import FruixError
from fruix.model.events import Event, LogLine
from fruix.sandbox.back_ends import current
from fruix.testing import derivations
from machine import build_uid, private_frx
from waiting import PATIENCE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")


def test_a_daemon_that_nobody_reads_lives_to_finish_its_end(tmp_path: Path) -> None:
    with private_frx():
        environment = {"PATH": os.environ["PATH"], "FRUIX_CONF": f"{tmp_path}/x.toml"}
        (tmp_path / "x.toml").touch()
        process = subprocess.Popen(
            [sys.executable, "-m", "fruix", "daemon"], env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            assert any("ready: store" in line for line in iter(process.stderr.readline, ""))
            process.stderr.close()
            process.send_signal(signal.SIGUSR1)  # lines that can't be written
            end_during_a_build(process)
        finally:
            process.kill()
            process.wait()
        assert current().processes_of(build_uid()) == []
        builds = Path("/frx/var/fruix/builds")
        assert [path.name for path in builds.iterdir() if path.name.startswith("frx-")] == []
        assert list((builds / "journal").iterdir()) == []


def end_during_a_build(process: subprocess.Popen[str]) -> None:
    """SIGTERM when its builder runs; the daemon has to end it, and itself with status 0."""
    runs, told = threading.Event(), []

    def watch(event: Event) -> None:
        if isinstance(event, LogLine):
            runs.set()

    def build() -> None:
        with connect("/frx/var/fruix/daemon-socket/socket", "/frx/store") as store:
            drv, _ = derivations.add(store, "endless", "echo runs; sleep 1000")
            try:
                told.append(str(derivations.build_added(store, drv, watch)))
            except FruixError as error:
                told.append(str(error))

    client = threading.Thread(target=build)
    client.start()
    assert runs.wait(PATIENCE)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    client.join(PATIENCE)
    assert told


def test_lines_go_to_the_system_log_when_nobody_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[bytes] = []
    reading, writing = os.pipe()
    monkeypatch.setattr(log_handler, "_STDERR", writing)
    monkeypatch.setattr(log_handler, "_system_log", lambda: lines.append)
    handler = log_handler.LogHandler()

    handler.say("one")
    assert os.read(reading, 100) == b"fruix daemon: one\n"
    os.close(reading)
    handler.say("two")
    handler.say("three")
    assert lines == [b"fruix daemon: two", b"fruix daemon: three"]
    os.close(writing)


def test_without_any_log_it_still_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError("no log")

    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(log_handler, "_STDERR", writing)
    monkeypatch.setattr(log_handler, "_system_log", refuse)
    handler = log_handler.LogHandler()
    for _ in range(2):
        handler.say("x")
    os.close(writing)
