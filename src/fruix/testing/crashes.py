"""Crashes on purpose, and what is left of them: nothing, and the same build succeeds afterwards.

A daemon is killed while a builder runs, a client goes away while its build runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fruix.errors import DisconnectedError, FruixError
from fruix.model.events import Event, LogLine
from fruix.testing import small
from fruix.testing.checks import Bench, FailedError
from fruix.testing.traces import traces

# Long enough to be caught running, by whoever is to be killed or to leave.
SLOW = "echo running; sleep 2; echo done > $out"
PATIENCE = 30.0  # seconds for a daemon to clean up after a client that has gone


class _LeftError(Exception):
    """Our own way out of a build."""


def _interrupted(bench: Bench, name: str, interrupt: Callable[[], None]) -> None:
    """Build, and call `interrupt` as soon as the builder runs; it ends the build, or raises."""

    def watch(event: Event) -> None:
        if isinstance(event, LogLine):
            interrupt()

    store = bench.scratch.connect()
    try:
        drv, _ = small.add(store, name, SLOW)
        small.build_added(store, drv, watch)
    except (DisconnectedError, ConnectionError, _LeftError):
        return
    finally:
        store.close()
    raise FailedError("the build went on as if nothing had happened")


def daemon_killed(bench: Bench) -> str:
    """SIGKILL to the daemon while a builder runs."""
    _interrupted(bench, "daemon-killed", bench.scratch.crash)
    bench.scratch.start()
    bench.clean()
    bench.succeed("daemon-killed", SLOW)
    bench.clean()
    return "a new start left nothing behind, and the same build succeeded"


def client_gone(bench: Bench) -> str:
    """The client's connection ends while its build runs."""

    def leave() -> None:
        raise _LeftError

    _interrupted(bench, "client-gone", leave)
    deadline = time.monotonic() + PATIENCE
    while left := traces(bench.scratch.layout):
        if time.monotonic() > deadline:
            raise FruixError(f"left behind: {'; '.join(left)}")
        time.sleep(0.05)
    return "its build was ended and cleaned up"


CRASHES: tuple[tuple[str, Callable[[Bench], str]], ...] = (
    ("client goes away", client_gone),
    ("daemon killed", daemon_killed),
)
