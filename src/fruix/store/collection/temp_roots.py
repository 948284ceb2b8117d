"""Temporary roots: paths that running sessions use and that garbage collection must spare.

Kept in memory, one set per session, and for collectors in other processes in a file
(`collection.temp_root_file`); a crash loses them together with the sessions they belonged to. The
order that matters is the users': first the root, then the question whether the path is valid. A
root is added under the gate (`collection.gate`), so that no collector decides in between.

Cost: some 8 µs for a new root, a look at a set for one that the session has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from fruix.model.storepath import StorePath
from fruix.store.collection.gate import Gate
from fruix.store.collection.temp_root_file import TempRootFile


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
        self._listeners: list[list[StorePath | None]] = []
        self._gated: Callable[[], AbstractContextManager[None]] = nullcontext
        self._file: TempRootFile | None = None

    def open(self, gate: Gate, file: TempRootFile) -> None:
        """From now on roots are added under the gate, and written into the file.

        Also those that there are.
        """
        with self._lock:
            self._gated, self._file = gate.using, file
            for path in self._all():
                file.add(str(path))

    def close(self) -> None:
        """The store is being closed: roots are kept in memory only."""
        with self._lock:
            self._gated, self._file = nullcontext, None

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
                with self._gated(), self._lock:
                    del self._sessions[key]
                    if self._file is not None and own:
                        count = len(self._lasting) + sum(map(len, self._sessions.values()))
                        self._file.shrink(count, lambda: list(map(str, self._all())))

    def add(self, path: StorePath) -> None:
        """Protect a path (which need not be valid, or exist)."""
        own = self._own()
        if path in own:
            return
        with self._gated(), self._lock:
            own.add(path)
            for listener in self._listeners:
                listener.append(path)
            if self._file is not None:
                self._file.add(path.text)

    def add_all(self, paths: Collection[StorePath]) -> None:
        """Protect several, in the calls of one."""
        own = self._own()
        if own.issuperset(paths):
            return
        new = [path for path in dict.fromkeys(paths) if path not in own]
        with self._gated(), self._lock:
            own.update(new)
            for listener in self._listeners:
                listener.extend(new)
            if self._file is not None:
                self._file.add(*[path.text for path in new])

    def _own(self) -> set[StorePath]:
        """Those of this thread's session, else those that last."""
        roots: set[StorePath] | None = getattr(self._current, "roots", None)
        return self._lasting if roots is None else roots

    def announce_links(self) -> None:
        """Tell listeners that links among the roots may have changed."""
        with self._gated(), self._lock:
            for listener in self._listeners:
                listener.append(None)

    @contextmanager
    def listening(self) -> Iterator[list[StorePath | None]]:
        """Yield a list that gets every root that is added during the context, in any session.

        None in it stands for links that may have changed.
        """
        heard: list[StorePath | None] = []
        with self._lock:
            self._listeners.append(heard)
        try:
            yield heard
        finally:
            with self._lock:
                self._listeners = [listener for listener in self._listeners if listener is not heard]

    def all(self) -> set[StorePath]:
        """Every temporary root there is now."""
        with self._lock:
            return self._all()

    def _all(self) -> set[StorePath]:
        return self._lasting.union(*self._sessions.values())

    def __contains__(self, path: StorePath) -> bool:
        with self._lock:
            return path in self._lasting or any(path in roots for roots in self._sessions.values())
