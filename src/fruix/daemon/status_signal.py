"""What the daemon says when somebody asks by signal (`threads.on_request`) what goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable

from fruix.log import Log
from fruix.model.activity import ActiveBuild

log = Log(__name__)


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
