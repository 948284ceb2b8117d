"""The fork that the spawner comes from: the first thing that a daemon does, so it needs next to nothing.

Parent and child go on side by side; each loads what it needs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import NoReturn


class Forked:
    """A spawner's process, as its parent holds it.

    Attributes:
        pid: its number.
        requests: the socket that it reads.
    """

    def __init__(self, pid: int, requests: socket.socket) -> None:
        self.pid = pid
        self.requests = requests

    @classmethod
    def start(cls) -> Forked:
        """Fork it. Call before any thread runs and before anything secret is in memory."""
        requests, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _become_spawner(requests, inner)
        inner.close()
        return cls(pid, requests)

    def fileno(self) -> int:
        """The descriptor of the socket to the spawner: readable when that has gone."""
        return self.requests.fileno()

    def close(self) -> None:
        """End the spawner; it kills what still runs first."""
        self.requests.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _become_spawner(requests: socket.socket, inner: socket.socket) -> NoReturn:
    """Keep the inner socket and the standard descriptors, drop the rest, and serve: the forked process."""
    code = 1
    try:
        requests.close()
        keep = os.dup2(inner.fileno(), 3) if inner.fileno() != 3 else 3
        os.set_inheritable(keep, False)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        inner.detach()
        # Interrupts from a terminal are for the daemon, which then closes the socket.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        from fruix.sandbox.spawner.server import main  # noqa: PLC0415 - the daemon never needs it

        with socket.socket(fileno=keep) as kept:
            main(kept)
        code = 0
    finally:
        os._exit(code)
