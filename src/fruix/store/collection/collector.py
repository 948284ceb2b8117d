"""Deleting what is dead, beside clients and builds.

Rows of dead paths go in batches, whatever refers to a path before it. For each batch:

1. with the gate held alone, in one transaction: what has come since the look is taken in; of the
   batch, what is alive by now, locked, or referred to from outside of it is left; the other rows
   are deleted;
2. the database's log is fsynced: no row may come back for files that are gone (fruix.store.durability);
3. with the gate held alone again: what is still not valid, and that nobody uses, is moved out of the
   store directory into this process's private one. There is a moment without the gate before, in
   which somebody may have made such a path valid again;
4. without any lock, on threads: it is deleted there.

A crash before 3 leaves unregistered objects, which the next collection deletes; one after 3 leaves
what the next start sweeps. Unregistered objects go the same way from 3 on. Nothing is written to
disk before the first rows are deleted but what that takes; the space for it is given up before
(`DatabaseFile.give_up_reserve`).

Cost: about 50 µs a path besides unlinking its files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from fruix.dataclass import dataclass, field
from fruix.errors import FruixError
from fruix.log import Log
from fruix.model.garbage import Goal, Step
from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.collection.liveness import Liveness
from fruix.store.collection.parts import Parts
from fruix.store.collection.row_sets import delete_rows, without_held
from fruix.store.collection.shredder import Shredder
from fruix.store.collection.strays import Strays
from fruix.store.tree.interruption import check_interrupt

BATCH = 256
_log = Log(__name__)


@dataclass(slots=True)
class Collector:
    """One collection; `liveness` is a look at the store that can still catch up.

    Attributes:
        foreign: names in the store directory that are no store objects.
    """

    parts: Parts
    liveness: Liveness
    goal: Goal
    shredder: Shredder
    foreign: list[str] = field(default_factory=list)

    def delete_unregistered(self, strays: Strays) -> Iterator[Step]:
        """Delete what was found in the store directory, but for what is in use or kept by now."""
        self.foreign += strays.foreign
        spared = self.liveness.names | self.parts.database.kept()
        return self.delete_objects([path for path in strays.objects if path.base not in spared])

    def delete_objects(self, paths: Iterable[StorePath]) -> Iterator[Step]:
        """Delete objects that are not valid, if nobody uses them."""
        remaining = iter(paths)
        while not self._enough() and (batch := list(islice(remaining, BATCH))):
            check_interrupt()
            taken = self._shred(batch)
            yield Step([str(path) for path in batch if path in taken], self.shredder.freed)

    def delete_rows(self, rows: Iterable[int]) -> Iterator[Step]:
        """Delete dead paths, in this order; see `Graph.dead_first_referrers`."""
        remaining = iter(rows)
        if not self.liveness.graph.live:
            self.parts.emptied()
        while not self._enough() and (batch := self._next(remaining)):
            check_interrupt()
            doomed = self._forget(batch)
            if doomed:
                self.parts.database.sync_log()
                self._shred(doomed)
                yield Step([str(path) for path in doomed], self.shredder.freed)

    def _next(self, rows: Iterator[int]) -> list[int]:
        """A batch, no larger than the goal needs."""
        wanted = self._wanted()
        if wanted is None:
            return list(islice(rows, BATCH))
        batch: list[int] = []
        for row in rows:
            batch.append(row)
            wanted -= self.liveness.graph.size(row)
            if wanted <= 0 or len(batch) == BATCH:
                break
        return batch

    def _wanted(self) -> int | None:
        """How many bytes are still to be freed; None: everything that is dead."""
        wanted = []
        if self.goal.max_freed is not None or self.goal.min_free is not None:
            self.shredder.wait()
        if self.goal.max_freed is not None:
            wanted.append(self.goal.max_freed - self.shredder.freed)
        if self.goal.min_free is not None:
            status = os.statvfs(self.parts.layout.store)
            wanted.append(self.goal.min_free - status.f_bavail * status.f_frsize)
        return min(wanted, default=None)

    def _enough(self) -> bool:
        wanted = self._wanted()
        return wanted is not None and wanted <= 0

    def _forget(self, batch: Sequence[int]) -> list[StorePath]:
        """Step 1: delete the rows of the batch that are still dead; returns their paths."""
        parts, graph = self.parts, self.liveness.graph
        with parts.gate.alone(), parts.database.writing() as connection:
            self.liveness.catch_up(connection)
            dead = json.dumps([row for row in batch if not graph.is_alive(row)])
            found = connection.execute(schema.PATHS_OF, (dead,))
            paths = {int(row): StorePath.parse(str(path), parts.layout.store) for row, path in found}
            locked = self._locked(paths.values())
            rows = without_held(connection, {row for row, path in paths.items() if path not in locked})
            delete_rows(connection, rows)
        return [paths[row] for row in batch if row in rows]

    def _locked(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Those of the paths that somebody has locked. Few have a lock file at all.

        Whoever makes a path without having it as a temporary root any more (a build that was given
        up) has had its lock for long, so that it needn't be held here.
        """
        names = set(os.listdir(self.parts.lock_directory))
        return {path for path in paths if path.base in names and not self._is_free(path)}

    def _is_free(self, path: StorePath) -> bool:
        with self.parts.path_locks() as locks:
            return locks.acquire([path], wait=False)

    def _shred(self, paths: Sequence[StorePath]) -> Collection[StorePath]:
        """Steps 3 and 4; returns what was moved away."""
        taken: dict[StorePath, bytes] = {}
        with self.parts.gate.alone():
            with self.parts.database.snapshot() as connection:
                self.liveness.catch_up(connection)
            spared = self.parts.database.valid_of(paths) | self._locked(paths)
            for path in paths:
                if path not in spared and path.base not in self.liveness.names:
                    place = self._take(path)
                    if place is not None:
                        taken[path] = place
        self.shredder.shred(taken.values())
        return taken.keys()

    def _take(self, path: StorePath) -> bytes | None:
        """Move an object away; None if there is nothing, or it can't be moved."""
        try:
            return self.parts.trash.take(path.base)
        except (FruixError, OSError) as error:
            _log.warning("left in the store: %s", error)
            return None
