"""Fruix's daemon as a process, started as benchmarks start it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import peers
from machine import private_frx


@contextmanager
def own_daemon(
    prepare: Callable[[peers.Daemon], None] = lambda _daemon: None, name: str = "fruix"
) -> Iterator[peers.Daemon]:
    """One in a `/frx` of its own, prepared before it is started; `name`: another daemon of the benchmarks."""
    with private_frx():
        found = peers.available("/nowhere")[name]("/frx")
        prepare(found)
        found.start()
        try:
            yield found
        finally:
            found.stop()
