"""Temporary roots: paths that running sessions use and that garbage collection must spare.

Kept in memory, one set per session, since one daemon process serves all; a crash loses them
together with the sessions they belonged to. The order that matters is the users': first the root,
then the question whether the path is valid.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fruix.model.storepath import StorePath


class TempRoots:
    """The temporary roots of one process. Thread-safe.

    A thread that serves a session enters `session`; what it adds meanwhile goes with the session.
    Outside of any session roots last as long as the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lasting: set[StorePath] = set()
        self._sessions: dict[int, set[StorePath]] = {}
        self._current = threading.local()

    @contextmanager
    def session(self, roots: set[StorePath] | None = None) -> Iterator[set[StorePath]]:
        """Collect this thread's roots in a set of their own until the end of the context.

        Args:
            roots: the set to use, so that several threads can work for one session (each enters
                with the same set).
        """
        own: set[StorePath] = set() if roots is None else roots
        outer: set[StorePath] | None = getattr(self._current, "roots", None)
        key = id(own)
        with self._lock:
            added = key not in self._sessions
            self._sessions[key] = own
        self._current.roots = own
        try:
            yield own
        finally:
            self._current.roots = outer
            if added:
                with self._lock:
                    del self._sessions[key]

    def add(self, path: StorePath) -> None:
        """Protect a path (which need not be valid, or exist)."""
        roots: set[StorePath] | None = getattr(self._current, "roots", None)
        with self._lock:
            (self._lasting if roots is None else roots).add(path)

    def all(self) -> set[StorePath]:
        """Every temporary root there is now."""
        with self._lock:
            return self._lasting.union(*self._sessions.values())

    def __contains__(self, path: StorePath) -> bool:
        with self._lock:
            return path in self._lasting or any(path in roots for roots in self._sessions.values())
