"""Commands of Nix's own clients against nix-daemon and against Fruix: same results, texts and statuses.

What differs on purpose is in `differences`; anything else is an error.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.guix.tools import busybox_tools
from clients.nix.differences import compared
from clients.nix.peers import ENVIRONMENT, programs
from crashing import exit_of, start_daemon
from golden_data import GOLDEN
from machine import private_frx
from waiting import until

HERE = Path(__file__).parent
SOCKET = Path(ENVIRONMENT["NIX_REMOTE"].removeprefix("unix://"))
FEATURES = "nix-command ca-derivations"
CONFIG = f"experimental-features = {FEATURES}\nsubstituters ="
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the system's daemon is root's")


@contextmanager
def nix_daemon() -> Iterator[None]:
    Path("/frx/etc/nix").mkdir(parents=True)
    Path("/frx/etc/nix/nix.conf").write_text(
        "build-users-group =\nsandbox = true\nsandbox-paths =\nsandbox-fallback = false\nsubstituters =\n"
        f"cores = 1\nmax-jobs = 1\nexperimental-features = {FEATURES}\nkeep-derivations = true\n"
    )
    environment = {**ENVIRONMENT, "NIX_DAEMON_SOCKET_PATH": str(SOCKET)}
    del environment["NIX_REMOTE"], environment["NIX_CONFIG"]
    with (
        open("/frx/nix-daemon.log", "ab") as log,
        subprocess.Popen(
            [f"{programs('newest')}/nix-daemon"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def fruix_daemon() -> Iterator[None]:
    Path("/frx/etc").mkdir(parents=True)
    Path("/frx/etc/fruix.toml").write_text(
        'cores = 1\nmax-jobs = 1\nexperimental-features = ["ca-derivations"]\n'
    )
    process = start_daemon()
    try:
        yield
    finally:
        os.kill(process, signal.SIGTERM)
        exit_of(process)


def transcript(daemon: str) -> str:
    """What all the commands print with one of the daemons."""
    with private_frx():
        for directory in ("/frx/store", "/frx/home", "/frx/work"):
            os.makedirs(directory)
        work = Path("/frx/work")
        shutil.copy(HERE / "same.nix", work)
        (work / "tools").mkdir()
        busybox_tools(work / "tools")
        (work / "golden-key").write_text((GOLDEN / "keys/nix-test-1.secret").read_text())
        (work / "golden-key.pub").write_text((GOLDEN / "keys/nix-test-1.public").read_text())
        with nix_daemon() if daemon == "nix" else fruix_daemon():
            until(SOCKET.exists, f"{daemon} listens")
            done = subprocess.run(
                ["sh", HERE / "verbs.sh", programs("newest"), work],
                env={**ENVIRONMENT, "NIX_CONFIG": CONFIG, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
    return done.stdout


def test_nix_and_fruix_say_the_same() -> None:
    nix, fruix = transcript("nix"), transcript("fruix")
    assert nix.count("\nstatus 0\n") > 40
    assert compared(nix, fruix) == ""
