"""Deleting on threads what was moved out of the store directory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from fruix.errors import FruixError
from fruix.log import Log
from fruix.store.collection.parts import Parts
from fruix.store.leftovers import has_links

if TYPE_CHECKING:
    from fruix.thread_pool import ThreadPool

_MOST_THREADS = 4
_WAITING = 4096  # objects that may be waiting
_RUN = 32  # objects that a thread takes at once
_log = Log(__name__)


class Shredder:
    """Counts the bytes of files that are deleted for good. `freed` grows while it works.

    A file that deduplication knows has one name more, in `.links`, which goes when it is the last:
    where there is any link, a file with two names counts as gone.

    What can't be deleted stays in the private directory, which is emptied when the store is closed.
    """

    def __init__(self, parts: Parts, pool: ThreadPool) -> None:
        self._trash = parts.trash
        self._names = 2 if has_links(parts.descriptor) else 1
        self._pool = pool
        self._changed = threading.Condition()
        self._waiting = 0
        self.freed = 0

    def shred(self, places: Iterable[bytes]) -> None:
        """Delete them, some time soon; waits while very many are waiting."""
        remaining = iter(places)
        while run := list(islice(remaining, _RUN)):
            with self._changed:
                self._changed.wait_for(lambda: self._waiting < _WAITING)
                self._waiting += len(run)
            self._pool.submit(self._delete, run)

    def wait(self) -> None:
        """Return when all is deleted."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)

    def _delete(self, places: Sequence[bytes]) -> None:
        freed = 0

        def count(status: os.stat_result) -> None:
            nonlocal freed
            if status.st_nlink <= self._names:
                freed += status.st_size

        for place in places:
            try:
                self._trash.drop(place, count)
            except (FruixError, OSError) as error:
                _log.warning("not deleted completely: %s", error)
        with self._changed:
            self.freed += freed
            self._waiting -= len(places)
            self._changed.notify_all()


@contextmanager
def shredding(parts: Parts) -> Iterator[Shredder]:
    """Yield one; at the end all is deleted."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    from fruix.thread_pool import ThreadPool  # noqa: PLC0415 - seldom needed

    with ThreadPool(threads, "shredder") as pool:
        yield Shredder(parts, pool)
