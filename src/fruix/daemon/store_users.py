"""The requests that use the store just now, and what is done when it was removed below the daemon.

A store that was removed (or only its state) is opened anew before the next request, when no other
one is at work on it. Each request pays some microseconds for the look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fruix.errors import FruixError, StoreError
from fruix.log import Log

if TYPE_CHECKING:
    from fruix.store import LocalStore
    from fruix.store.database_file import Version

log = Log(__name__)

_WAIT = "ask again when what the daemon does now has ended: it opens then what is there"


class StoreRemovedError(StoreError):
    """What the daemon had open is no longer what has these names."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__("the store was removed or replaced while it was open", where=name, hint=hint)


class StoreUsers:
    """Counts requests. Thread-safe."""

    def __init__(self, store: LocalStore, busy: Callable[[], bool], before: Callable[[], None]) -> None:
        """What is used.

        Args:
            store: is open.
            busy: whether something uses it that is no request, as builds do whose client has gone.
            before: called before the store is opened anew.
        """
        self._store = store
        self._busy = busy
        self._before = before
        self._lock = threading.Lock()
        self._count = 0
        self._is_open = True
        self._is_odd = False  # a request failed since the last whole look

    def enter(self, *, seen: bool = False) -> None:
        """A request begins that may use the store. Not within another of the same thread.

        `seen`: it looks itself whether there are objects, and does nothing where there are none.

        Raises:
            StoreError: the store was removed, and can't be opened anew (now).
        """
        with self._lock:
            if not (self._is_open and self._store.is_same(seen=seen)) or self._is_odd:
                if name := self._store.lost():
                    self._reopen(name)
                self._is_odd = False
            self._count += 1

    def leave(self) -> None:
        """It has ended."""
        with self._lock:
            self._count -= 1

    @contextmanager
    def using(self) -> Iterator[None]:
        """Both, around what uses the store."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def version(self) -> Version | None:
        """What the database held last (`Database.version`).

        None if it is no longer what the store is, or can't be read: work on a request tells why.
        """
        try:
            with self._lock:
                return self._store.database.version() if self._is_open and self._store.is_same() else None
        except (FruixError, OSError):
            return None

    def explained(self, error: Exception) -> Exception:
        """What a client is told when its request met this error: without the store, files are missing."""
        self._is_odd = True
        if self._is_open and type(error) is not StoreRemovedError and isinstance(error, OSError | StoreError):
            name = self._store.lost()
            return StoreRemovedError(name, "ask again") if name else error
        return error

    def _reopen(self, name: str) -> None:
        if self._count or self._busy():
            raise StoreRemovedError(name, _WAIT)
        self._is_open = False
        self._before()
        self._store.reopen()
        self._is_open = True
        log.warning("%s was removed while the daemon ran: the store is opened anew", name)
