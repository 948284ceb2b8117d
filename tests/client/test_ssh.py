"""Connections to machines through `ssh`, for which a script stands in."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from fruix.client.ssh import connect_machine, ssh_command
from fruix.errors import DisconnectedError, FruixError
from fruix.model.machines import Machine, parse_machines
from seen_processes import lives
from waiting import until

WORDS = "ssh -x -a -T -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=30"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes `ssh` a script."""

    def write(script: str) -> None:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return write


def listed(text: str) -> Machine:
    (machine,) = parse_machines(text, "x86_64-linux")
    return machine


def connect(why_stop: Callable[[], FruixError | None] = lambda: None) -> None:
    reading, writing = os.pipe()
    try:
        with connect_machine(listed("me@box"), "/frx/store", reading, why_stop):
            pytest.fail("nobody answers")
    finally:
        os.close(reading)
        os.close(writing)


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_SSHOPTS", "-F '/my config'")
    with ExitStack() as closing:
        assert ssh_command(listed("box"), closing) == [
            *WORDS.split(), "-F", "/my config", "--", "box", "nix-daemon", "--stdio",
        ]  # fmt: skip
        monkeypatch.delenv("NIX_SSHOPTS")
        words = ssh_command(listed("ssh-ng://me@box:22 - /key - - - - a2V5"), closing)
        assert words[len(WORDS.split()) :][:4] == ["-p", "22", "-i", "/key"]
        known, strict, *_ = words[-6:]
        assert strict == "-oStrictHostKeyChecking=yes"
        file = known.removeprefix("-oUserKnownHostsFile=")
        assert Path(file).read_text() == "[box]:22 key\n"
    assert not Path(file).exists()


def test_its_own_words_are_the_error(ssh: Callable[[str], None]) -> None:
    ssh("echo banner >&2; echo 'me@box: Permission denied (publickey).' >&2; exit 255")
    with pytest.raises(DisconnectedError, match=r"banner me@box: Permission denied \(publickey\)\."):
        connect()


def test_what_answers_is_no_daemon(ssh: Callable[[str], None]) -> None:
    ssh("echo Welcome to the machine. Have a nice day.; sleep 1000")
    with pytest.raises(DisconnectedError):
        connect()


def test_no_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DisconnectedError, match="there is no program 'ssh'"):
        connect()


def test_nothing_is_left_of_one_that_is_given_up(ssh: Callable[[str], None], tmp_path: Path) -> None:
    """It had begun something itself, which has signals to hear."""
    ssh(f"sleep 1000 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait")
    pid = tmp_path / "pid"

    def why_stop() -> FruixError | None:
        return FruixError("nobody wants it") if pid.exists() else None

    with pytest.raises(FruixError, match="nobody wants it"):
        connect(why_stop)
    until(lambda: not lives(int(pid.read_text())), "the end of what it began")
