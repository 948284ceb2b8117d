"""A command without a daemon is killed; the next one finds nothing of it.

Killed is the command, the daemon in its child, the spawner or the builder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import traces
from fruix import failpoints
from fruix.daemon.embedded import embedded_store
from machine import private_frx

KEPT = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
EXPRESSION = (
    "Package(name='greeting', version='{name}', build_system='trivial', "
    "arguments={{'script': 'echo running; (setsid sleep 1000 &); echo hi > $out'}})"
)


@pytest.fixture(scope="module")
def frx() -> Iterator[None]:
    with private_frx():
        yield


def build(name: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fruix", "build", "-e", EXPRESSION.format(name=name)]
    environment = {**KEPT, failpoints.VARIABLE: fault}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("step", ["journal", "exec", "watch", "register"])
@pytest.mark.parametrize("victim", ["daemon", "spawner", "client"])
def test_the_next_command_finds_nothing_of_it(step: str, victim: str, frx: None) -> None:
    name = f"{step}-{victim}"
    done = build(name, f"{step}:{victim}")
    assert "Traceback" not in done.stderr
    if victim == "client":
        assert done.returncode == -signal.SIGKILL
    elif victim == "daemon":
        assert done.returncode == 1
        assert "hint: the daemon may have been stopped" in done.stderr
    with embedded_store(KEPT) as store:
        assert traces(store) == []
    done = build(name)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_text() == "hi\n"


def test_a_fault_that_there_is_not(frx: None) -> None:
    done = build("x", "jornal:daemon")
    assert done.returncode != 0
    assert "FRUIX_FAULT: no step 'jornal'" in done.stderr
