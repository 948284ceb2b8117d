"""The real Guix client, unpacked by the project's own script, and a daemon for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from crashing import SOCKET, connected, exit_of, start_daemon

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "src/fruix/guile"
PEERS = os.environ.get("FRUIX_PEERS", "/var/tmp/fruix-peers")
BIN = os.path.dirname(os.path.abspath(sys.executable))
# What fetching may need.
PASSED = ("FRUIX_SOURCES", "http_proxy", "https_proxy")


@cache
def client() -> str:
    """The command; unpacked if it isn't there (once on a machine, see `scripts/peers`)."""
    subprocess.run(["sh", ROOT / "scripts/peers", PEERS, "guix"], check=True)
    return f"{PEERS}/guix/client"


@dataclass(frozen=True, slots=True)
class Guix:
    """Guix's client with a home of its own."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What the client is run with."""
        return {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "USER": "root",
            "FRUIX_PEERS": PEERS,
            "NIX_STORE_DIR": "/frx/store",
            "NIX_STATE_DIR": "/frx/var/fruix",
            "GUIX_DAEMON_SOCKET": SOCKET,
            "GUIX_EXTENSIONS_PATH": f"{MODULES}/guix/extensions",
        }

    def run(self, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of it; `variables` are added to its environment."""
        return run(client(), *words, environment={**self.environment, **variables})

    def output(self, *words: str | Path, **variables: str) -> str:
        """What a command prints that has to succeed."""
        done = self.run(*words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


def run(*words: str | Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run any command from the project's directory."""
    return subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@contextmanager
def daemon(**variables: str) -> Iterator[None]:
    """Fruix's daemon on /frx; `variables` are added to its environment."""
    process = start_daemon(environment={**passed(), **variables})
    try:
        connected(process).close()
        yield
    finally:
        os.kill(process, signal.SIGTERM)
        exit_of(process)


def passed() -> dict[str, str]:
    """What daemons get of this environment."""
    return {name: os.environ[name] for name in PASSED if name in os.environ}
