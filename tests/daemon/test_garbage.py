"""Garbage in any file of the state directory: the daemon goes on, or says which file and what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import clear_away, connected, start_daemon
from fruix.store import Layout
from machine import Machine, private_frx
from waiting import PATIENCE, exit_of

GARBAGE = {"bytes": b"\xff\x00\xfe" * 50, "nothing": b"", "half": None, "text": b"{]\n\n\x1b[31m"}
# Without these the store is lost: a refusal is right.
NEEDED = {"db/db.sqlite", "db/schema"}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[str]:
    """That of a daemon that has built something, failed at something and stopped."""
    with private_frx():
        daemon = start_daemon()
        with connected(daemon) as store:
            here = Machine(store, None)  # type: ignore[arg-type]
            shell = here.shell(tmp_path)
            for script in ("echo x > $out", "exit 1"):
                drv = here.derivation(f"d{len(script)}", script, shell)
                subprocess.run(
                    [sys.executable, "-m", "fruix", "build", "-K", str(drv)], check=False, capture_output=True
                )
        os.kill(daemon, signal.SIGTERM)
        assert exit_of(daemon) == 0
        yield Layout().state
        clear_away()


def files(state: str) -> list[str]:
    """All that it holds, apart from copies that were kept for people."""
    return sorted(
        str(path.relative_to(state))
        for path in Path(state).rglob("*")
        if path.is_file() and not path.is_symlink() and "kept" not in path.parts
    )


def spoil(path: Path, data: bytes | None) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if data is None else data)


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_in_any_file(state: str, kind: str) -> None:
    names = files(state)
    assert {"db/db.sqlite", "db/schema", "daemon.lock", "history.jsonl"} <= set(names)
    for name in (*names, "builds/journal/frx-x.json", "userpool/35001", "views/base.json"):
        path = Path(state, name)
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True, mode=0o700)
        if before is None:
            path.write_bytes(b"{}")
        spoil(path, GARBAGE[kind])
        said, status = start_and_stop()
        assert "Traceback" not in said, f"{name}: {said}"
        assert "internal" not in said, f"{name}: {said}"
        if status:
            assert name in NEEDED, f"{name}: {said}"
            assert "fruix: error: " in said
            assert str(path.parent) in said or Layout().store in said
        if before is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(before)
    assert start_and_stop()[1] == 0


def start_and_stop() -> tuple[str, int]:
    """What a daemon says that is stopped as soon as it answers, and its status."""
    daemon = subprocess.Popen([sys.executable, "-m", "fruix", "daemon"], stderr=subprocess.PIPE, text=True)
    words = [sys.executable, "-m", "fruix"]
    try:
        while daemon.poll() is None:
            ping = subprocess.run([*words, "daemon", "--ping"], capture_output=True, check=False)
            if ping.returncode == 0:
                done = subprocess.run([*words, "ps"], capture_output=True, text=True, check=False)
                daemon.terminate()
                said = daemon.communicate(timeout=PATIENCE)[1]
                return done.stderr + said, daemon.returncode
    finally:
        daemon.kill()
    said = daemon.communicate(timeout=PATIENCE)[1]
    return said, daemon.returncode
