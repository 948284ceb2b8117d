"""What of a store is alive: its roots, what they keep, and what has come since they were looked at.

A `Liveness` is one look at the store: roots first, then the graph, so that whatever is made valid
later is newer than the graph. `catch_up`, within a transaction and with the gate held alone, takes
in what has come since: new rows are alive with all that they keep, and so are new temporary roots.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from fruix.errors import BadStorePathError
from fruix.model.garbage import Keep
from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.collection.graph import Graph, edges_of
from fruix.store.collection.parts import Parts
from fruix.store.collection.runtime_roots import runtime_roots
from fruix.store.collection.temp_root_file import OtherProcesses
from fruix.store.database import Database

Links = Callable[[], Iterable[StorePath]]
_RUN = 1000


class Liveness:
    """Made by `looked_at`; not thread-safe.

    Attributes:
        graph: the valid paths.
        names: base names of all temporary roots, which need not be valid.
    """

    def __init__(
        self, parts: Parts, keep: Keep, links: Links, heard: Sequence[StorePath | None], *, sizes: bool
    ) -> None:
        """Look at the store; see `looked_at`. `heard` grows while others add temporary roots."""
        self._keep = keep
        self._links = links
        self._heard = heard
        self._taken = 0
        self._store = parts.layout.store
        self._others = OtherProcesses(parts.layout.temproots, parts.temp_root_file)
        self.names: set[str] = set()
        with parts.gate.alone():
            temporary = parts.temp_roots.all()
            temporary.update(path for _, path in temporary_of_others(self._others, self._store))
        found = [*links(), *(path for _, path in runtime_roots(self._store))]
        with parts.database.snapshot() as connection:
            self.names.update(path.base for path in temporary)
            self.graph = Graph(connection, keep, rows_of(connection, {*found, *temporary}), sizes=sizes)
            self._newest = self.graph.newest

    def _mark(
        self,
        connection: sqlite3.Connection,
        roots: Iterable[StorePath],
        temporary: Iterable[StorePath] = (),
    ) -> None:
        """Nothing has the names of temporary roots but with the leave of their sessions, valid or not."""
        self.names.update(path.base for path in temporary)
        self.graph.mark(rows_of(connection, roots))

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Take in what has come since. The gate is held alone; cost: two short queries."""
        new = [int(row) for (row,) in connection.execute(schema.ROWS_AFTER, (self._newest,))]
        if new:
            for statement in edges_of(self._keep).values():
                kept = connection.execute(statement, (self._newest,))
                self.graph.mark(int(end) for _, end in kept)
            self._newest = max(new)
        heard = self._heard[self._taken :]
        self._taken += len(heard)
        roots = [root for root in heard if root is not None]
        roots += [path for _, path in temporary_of_others(self._others, self._store)]
        if roots:
            self._mark(connection, roots, roots)
        if len(roots) < len(heard):
            self._mark(connection, self._links())


@contextmanager
def looked_at(parts: Parts, keep: Keep, links: Links, *, sizes: bool = False) -> Iterator[Liveness]:
    """Look at the store; during the context the result can `catch_up`.

    The order matters: temporary roots are listened to before any root is looked at, and roots are
    looked at before the graph is read.

    Args:
        parts: the store.
        keep: what keeps paths alive besides references.
        links: gives the roots that are links, each time as they are then.
        sizes: whether the graph shall know those of paths.

    Raises:
        StoreError: another process has temporary roots that it could not write down.
    """
    with parts.temp_roots.listening() as heard:
        yield Liveness(parts, keep, links, heard, sizes=sizes)


def temporary_of_others(others: OtherProcesses, store: str) -> Iterator[tuple[str, StorePath]]:
    """Yield (process, path) for new temporary roots of other processes. The gate is held alone."""
    for process, text in others.added():
        try:
            yield process, StorePath.parse(text, store)
        except BadStorePathError:
            continue  # of a file that somebody has damaged


def rows_of(connection: sqlite3.Connection, paths: Iterable[StorePath]) -> dict[int, StorePath]:
    """Rows, with their paths, of those of the paths that are valid."""
    by_text = {str(path): path for path in paths}
    found = connection.execute(schema.ROWS_OF, (json.dumps(list(by_text)),))
    return {int(row): by_text[str(text)] for row, text in found}


def paths_of(database: Database, rows: Iterable[int]) -> Iterator[StorePath]:
    """Yield the paths of rows that are there still, in no order. One query for 1000."""
    remaining = iter(rows)
    while run := list(islice(remaining, _RUN)):
        yield from database.paths(schema.PATHS_OF_ROWS, json.dumps(run))
