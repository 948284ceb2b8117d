"""Guix's client and daemon, unpacked by `scripts/peers`, and Fruix's daemon in the same place.

Each daemon has `/frx` for itself, so that all names are the same.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from crashing import exit_of, start_daemon
from fruix.sandbox.linux import libc
from machine import own_mounts
from waiting import until

ROOT = Path(__file__).parents[3]
PEERS = os.environ.get("FRUIX_PEERS", "/var/tmp/fruix-peers")
SOCKET = "/frx/var/fruix/daemon-socket/socket"
GROUP = "frxpeer"
FIRST_ID = 29001
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/frx/home",
    "NIX_STORE_DIR": "/frx/store",
    "GUIX_STATE_DIRECTORY": "/frx/var/fruix",
    "GUIX_DATABASE_DIRECTORY": "/frx/var/fruix/db",
    "GUIX_LOG_DIRECTORY": "/frx/var/log/fruix",
    "GUIX_CONFIGURATION_DIRECTORY": "/frx/etc",
    "GUIX_DAEMON_SOCKET": SOCKET,
}
DAEMONS = ("guix", "fruix")


@cache
def client() -> str:
    """The command; unpacked if it isn't there."""
    subprocess.run(["sh", ROOT / "scripts/peers", PEERS, "guix"], check=True)
    return f"{PEERS}/guix/client"


@contextmanager
def build_users() -> Iterator[None]:
    """A group of them, which only this process and its children know of."""
    own_mounts()
    names = [f"{GROUP}{number}" for number in (1, 2, 3)]
    more = {
        "/etc/passwd": "".join(
            f"{name}:x:{FIRST_ID + number}:{FIRST_ID}::/:/usr/sbin/nologin\n"
            for number, name in enumerate(names)
        ),
        "/etc/group": f"{GROUP}:x:{FIRST_ID}:{','.join(names)}\n",
    }
    with tempfile.TemporaryDirectory() as directory:
        for target, lines in more.items():
            copy = Path(directory, os.path.basename(target))
            copy.write_text(Path(target).read_text() + lines)
            copy.chmod(0o644)
            libc.mount(str(copy).encode(), target.encode(), None, libc.MS_BIND)
        try:
            yield
        finally:
            for target in more:
                with suppress(OSError):  # gone with the file if somebody replaced that
                    libc.umount(target.encode(), libc.MNT_DETACH)


@contextmanager
def daemon(
    name: str, *, options: Sequence[str] = ("--no-substitutes",), settings: str = ""
) -> Iterator[None]:
    """One of `DAEMONS` on /frx, as it is; ended at the end.

    `options` are guix-daemon's, and `settings` lines of Fruix's configuration that mean the same.
    """
    for directory in ("/frx/store", "/frx/home", "/frx/etc", "/frx/tmp"):
        os.makedirs(directory, exist_ok=True)
    with _guix(options) if name == "guix" else _fruix(settings):
        until(lambda: run(client(), "gc", "--list-dead").returncode == 0, f"{name} answers")
        yield
    Path(SOCKET).unlink(missing_ok=True)


@contextmanager
def _fruix(settings: str) -> Iterator[None]:
    process = start_daemon(environment=_own(settings))
    try:
        yield
    finally:
        os.kill(process, signal.SIGTERM)
        exit_of(process)


def _own(settings: str) -> Mapping[str, str]:
    Path("/frx/etc/fruix.toml").write_text(f"cores = 1\nmax-jobs = 2\n{settings}")
    return {name: value for name, value in ENVIRONMENT.items() if name.startswith("GUIX_")}


@contextmanager
def _guix(more: Sequence[str]) -> Iterator[None]:
    options = [f"--build-users-group={GROUP}", "-M", "2", "-c", "1", "--no-offload", *more]
    with (
        open("/frx/guix-daemon.log", "ab") as log,
        subprocess.Popen(
            [f"{PEERS}/guix/usr/bin/guix-daemon", *options, f"--listen={SOCKET}"],
            env={**ENVIRONMENT, "GUIX": client(), "TMPDIR": "/frx/tmp"},  # where it keeps what failed
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
    with open("/frx/var/fruix/db/big-lock", "ab") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # its processes for clients that have left end some time later


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Any command with the clients' environment; what it says and prints is one text."""
    return subprocess.run(
        words,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
