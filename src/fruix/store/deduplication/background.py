"""Work on paths in the background, in the order in which they came, on a few threads.

The threads begin with the first path. At the end what waits is forgotten, and what runs is given up.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable

from fruix.errors import FruixError, StoreError
from fruix.log import Log
from fruix.model.storepath import StorePath
from fruix.store.tree.interruption import check_interrupt, interruptible
from fruix.threads import Thread

_PATIENCE = 0.2  # seconds between two looks whether to go on waiting
_log = Log(__name__)


class Background:
    """A queue of paths and the threads that work on them. Thread-safe."""

    def __init__(self, work: Callable[[StorePath, bytes], object], threads: int | None = None) -> None:
        """`work` is called with each path and the hash of its archive; its errors are logged."""
        self._work = work
        self._count = threads or min(4, os.cpu_count() or 1)
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, StorePath, bytes]] = deque()
        self._running: set[int] = set()
        self._last = 0  # number of the path that came last
        self._closing = False
        self._threads: list[threading.Thread] = []

    def add(self, paths: Iterable[tuple[StorePath, bytes]]) -> None:
        """Have paths worked on some time soon."""
        with self._changed:
            for path, archive_hash in paths:
                self._last += 1
                self._waiting.append((self._last, path, archive_hash))
            if self._waiting and not self._threads:
                self._threads = [Thread(target=self._run, name="background") for _ in range(self._count)]
                for thread in self._threads:
                    thread.start()
            self._changed.notify_all()

    def is_busy(self) -> bool:
        """Whether a path waits, or is worked on."""
        with self._changed:
            return bool(self._waiting or self._running)

    def wait(self) -> None:
        """Return when all that was added before is done (or the end has come).

        Raises:
            Interrupted: see `interruption`.
        """
        with self._changed:
            last = self._last
            while not self._changed.wait_for(lambda: self._closing or self._is_done(last), _PATIENCE):
                check_interrupt()

    def _is_done(self, last: int) -> bool:
        waiting = bool(self._waiting) and self._waiting[0][0] <= last
        return not waiting and all(number > last for number in self._running)

    def close(self) -> None:
        """Forget what waits, give up what runs."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            number, path, archive_hash = taken
            try:
                with interruptible(self._why_stop):
                    self._work(path, archive_hash)
            except (FruixError, OSError) as error:
                if not self._closing:
                    _log.warning("%s: %s", path, error)
            finally:
                with self._changed:
                    self._running.discard(number)
                    self._changed.notify_all()

    def _take(self) -> tuple[int, StorePath, bytes] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or bool(self._waiting))
            if self._closing:
                return None
            taken = self._waiting.popleft()
            self._running.add(taken[0])
            return taken

    def _why_stop(self) -> Exception | None:
        return StoreError("the store is being closed") if self._closing else None
