"""Collections that begin by themselves when the store's disk has too little free space.

A thread looks every few seconds, which costs one system call. After a collection the next one is at
least a minute, and twenty times as long as it took, away: where everything that is left is alive,
nothing is gained by looking for more.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from fruix.errors import FruixError
from fruix.log import Log
from fruix.model.garbage import Collected, Goal, Keep, Report
from fruix.store.layout import Layout
from fruix.store.tree.interruption import interruptible
from fruix.threads import Thread

PERIOD = 5.0
PAUSE = 60.0
_SHARE = 20
_MIB = 1 << 20
_log = Log(__name__)


class Collectable(Protocol):
    """A store as far as is needed here."""

    @property
    def layout(self) -> Layout:
        """Where it lies."""

    def collect(self, keep: Keep, goal: Goal, report: Report = ...) -> Collected:
        """Delete what is dead."""


class AutomaticCollection:
    """Runs from `start` to `stop`."""

    def __init__(
        self,
        store: Collectable,
        keep: Keep,
        *,
        below: int,
        until: int = 0,
        period: float = PERIOD,
        free: Callable[[str], int] | None = None,
        using: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Nothing begins yet.

        Args:
            store: what is collected.
            keep: what keeps paths alive besides references.
            below: collect when fewer bytes are free.
            until: then collect until so many are; 0: everything dead.
            period: seconds between two looks.
            free: the free bytes of a directory's file system (default: what the system says).
            using: a context in which nobody closes the store.
        """
        self._store = store
        self._keep = keep
        self._below = below
        self._goal = Goal(min_free=max(until, below) if until else None)
        self._period = period
        self._free = free or _free
        self._using = using
        self._stopping = threading.Event()
        self._thread = Thread(target=self._run, name="collect")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, also in the middle of a collection."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = self._period
        while not self._stopping.wait(pause):
            pause = self._period
            if self._free(self._store.layout.store) < self._below:
                began = time.monotonic()
                self._collect()
                pause = max(pause, min(PAUSE, 12 * pause), _SHARE * (time.monotonic() - began))

    def _collect(self) -> None:
        try:
            with self._using(), interruptible(self._why_stop):
                found = self._store.collect(self._keep, self._goal)
        except (FruixError, OSError) as error:
            if not self._stopping.is_set():
                _log.warning("collecting garbage failed: %s", error)
            return
        _log.warning(
            "less than %.1f MiB were free (setting 'collect-below'): %d paths deleted, %.1f MiB freed",
            self._below / _MIB,
            found.deleted,
            found.freed / _MIB,
        )

    def _why_stop(self) -> FruixError | None:
        return FruixError("the store is being closed") if self._stopping.is_set() else None


def _free(directory: str) -> int:
    try:
        status = os.statvfs(directory)
    except OSError:  # it was removed, or its disk is gone: nothing to collect
        return sys.maxsize
    return status.f_bavail * status.f_frsize
