"""Telling what goes on when somebody asks by signal: SIGUSR1, and SIGINFO (ctrl-T) where the system has it.

The work is done on a thread of its own, since a handler interrupts the main thread anywhere, also
where it holds locks.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable

from fruix.model.activity import ActiveBuild
from fruix.threads import Thread

log = logging.getLogger(__name__)

NAMES = ("SIGUSR1", "SIGINFO")


def on_request(show: Callable[[], None]) -> None:
    """Call `show`, on another thread, each time that it is asked for. Main thread only."""

    def handler(*_: object) -> None:
        Thread(target=show, name="inform").start()

    for name in NAMES:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, handler)


def log_builds(builds: Iterable[ActiveBuild], connections: int) -> None:
    """The daemon's answer: a line for each build in its log."""
    rows = list(builds)
    log.info("status: %d connections, %d builds", connections, len(rows))
    now = time.time()
    for row in rows:
        clients = ", ".join(f"{client.user} (process {client.pid})" for client in row.clients)
        seconds = now - (row.started_ms or row.submitted_ms) / 1000
        phase = f", phase {row.phase}" if row.phase else ""
        log.info(
            "status: %s is %s%s for %.0f s; asked for by %s",
            row.drv,
            row.state,
            phase,
            seconds,
            clients or "nobody",
        )
