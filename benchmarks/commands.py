"""The commands that people type: what each daemon's are called, how long things take on a screen."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Self

from peers import PROGRAM, Daemon
from report import OURS
from unavailable import Unavailable

_PATIENCE = 120.0


def build(daemon: Daemon, *words: str) -> list[str]:
    """Each client's command to build derivations."""
    if daemon.name == OURS:
        return fruix("build", *words)
    return guix(daemon, "build", *words) if daemon.dialect == "guix" else nix(daemon, "nix-build", *words)


def fruix(*words: str) -> list[str]:
    """Our client's command, as an installation has it."""
    return [*PROGRAM, *words]


def bare(*words: str) -> list[str]:
    """The least that such a command costs; see `bare_commands.py`."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bare_commands.py")
    return [sys.executable, "-IS", program, *words]


def nix(daemon: Daemon, program: str, *words: str) -> list[str]:
    """A command of the Nix that the daemon is of."""
    more = ["--no-out-link"] if program == "nix-build" else []
    return [os.path.join(os.path.dirname(daemon.command[0]), program), *more, *words]


def guix(daemon: Daemon, *words: str) -> list[str]:
    """A command of the Guix that the daemon is of; `scripts/peers` wrote what runs it."""
    return [daemon.environment["GUIX"], *words]


def environment(daemon: Daemon) -> dict[str, str]:
    """What a client of this daemon needs; its caches are the run's own."""
    found = {**os.environ, **daemon.environment, "XDG_CACHE_HOME": f"{daemon.base}/cache", "TERM": "xterm"}
    found |= {"NIX_REMOTE": f"unix://{daemon.socket}"} if daemon.dialect == "nix" else {}
    if daemon.name == OURS:
        del found["NIX_REMOTE"]
    return found | ({"GUIX_DAEMON_SOCKET": daemon.socket} if daemon.dialect == "guix" else {})


def run(daemon: Daemon, command: Sequence[str]) -> float:
    """Seconds that a command takes, to its end.

    Raises:
        Unavailable: it fails; says how.
    """
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment(daemon), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command[:4])} …: {done.stderr.strip()[-300:]}")
    return seconds


class Screen:
    """A command on a terminal of its own, which is that of its session. A context manager."""

    def __init__(self, daemon: Daemon, command: Sequence[str]) -> None:
        self._written = b""
        self.begun = time.perf_counter()
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], [*command], environment(daemon))  # noqa: S606 - it is the measured command

    def wait_for(self, text: bytes) -> float:
        """The moment when the text, or with an empty one anything at all, is on the screen."""
        deadline = time.perf_counter() + _PATIENCE
        while not self._written or text not in self._written:
            ready, _, _ = select.select([self._terminal], [], [], max(0, deadline - time.perf_counter()))
            try:
                data = os.read(self._terminal, 1 << 16) if ready else b""
            except OSError:
                data = b""
            if not data:
                raise Unavailable(f"nothing with {text!r} on the screen: {self._written[-300:]!r}")
            self._written += data
        return time.perf_counter()

    def press_interrupt(self) -> float:
        """Press ^C; seconds until the command has ended and a shell would show its prompt."""
        begun = time.perf_counter()
        os.write(self._terminal, b"\x03")
        self._finish()
        return time.perf_counter() - begun

    def _finish(self) -> None:
        deadline = time.perf_counter() + _PATIENCE
        while self._pid and time.perf_counter() < deadline:
            if select.select([self._terminal], [], [], 0.0005)[0]:
                try:
                    self._written += os.read(self._terminal, 1 << 16)
                except OSError:  # nobody has the inner end any more
                    os.waitpid(self._pid, 0)
                    self._pid = 0
            elif os.waitpid(self._pid, os.WNOHANG)[0]:
                self._pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)
