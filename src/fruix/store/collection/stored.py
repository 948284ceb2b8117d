"""What can be asked of a store about garbage: the roots, what is alive or dead, and to delete it.

The part of `LocalStore` for collections. Each method takes a look of its own at roots and graph
(`liveness`); only `collect` and `delete` change anything. Any number of threads may ask, also for
collections, which then share the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from fruix.errors import BadStorePathError, PathAliveError
from fruix.model.garbage import (
    Collected,
    GarbageEvent,
    Goal,
    Keep,
    LinksSave,
    LiveStep,
    Marked,
    Report,
    Root,
    RootNote,
    Step,
    UnusedLinks,
    WhyLive,
)
from fruix.model.storepath import StorePath, in_store
from fruix.overriding import override
from fruix.store import collection
from fruix.store.collection.parts import Parts
from fruix.store.collection.temp_root_file import OtherProcesses
from fruix.store.database import Database
from fruix.store.queries import StoreQueries
from fruix.store.room import Room
from fruix.store.roots import add_indirect_root, make_permanent_root

if TYPE_CHECKING:
    from fruix.store.collection.collector import Collector
    from fruix.store.collection.graph import Graph
    from fruix.store.collection.liveness import Liveness
    from fruix.store.collection.persistent_roots import FoundRoot


def _nobody(_event: GarbageEvent) -> None:
    return


class StoredCollection(StoreQueries):
    """Mixed into `LocalStore`, which opens the parts."""

    _parts: Parts
    _room: Room

    # Roots

    @override
    def add_temp_root(self, path: StorePath) -> None:
        self._parts.temp_roots.add(path)

    @override
    def add_indirect_root(self, link: str) -> None:
        self._room.spend(0)
        add_indirect_root(self._parts.layout.gcroots, link)
        self._keep_for_now(link)

    def add_permanent_root(self, path: StorePath, link: str) -> str:
        """Make a link to a path, and register it as a root; the name that it has got.

        Raises:
            UsageError: not an absolute file name.
            StoreError: the link would lie in the store, or something else than a link into the store
                has its name.
        """
        self._room.spend(0)
        self._parts.temp_roots.add(path)
        name = make_permanent_root(str(path), link, self._parts.layout)
        self.add_indirect_root(name)
        return name

    def _keep_for_now(self, link: str) -> None:
        """What a new root points to is a temporary root, so that a running collection knows of it."""
        with suppress(OSError, BadStorePathError):
            path, _ = in_store(os.readlink(link), self._parts.layout.store)
            self._parts.temp_roots.add(path)

    def sync_with_collections(self) -> None:
        """Have running collections look at the links among the roots again before they delete more."""
        self._parts.temp_roots.announce_links()

    def find_roots(self, *, report: Report = _nobody, processes: bool = True) -> list[Root]:
        """Every root that keeps a valid path, in order.

        Args:
            report: told of links that were removed or can't be read.
            processes: also the temporary roots (`{temp:PID}`) and what processes use
                (`/proc/PID/…`), not only links.
        """
        found = [(root.link, root.target) for root in self._links(report)]
        if processes:
            found += self._temporary()
            found += collection.runtime_roots.runtime_roots(self._parts.layout.store)
        valid = self.valid_paths({path for _, path in found})
        return [Root(link, path) for link, path in sorted(set(found)) if path in valid]

    def _temporary(self) -> list[tuple[str, StorePath]]:
        parts = self._parts
        with parts.gate.alone():
            others = OtherProcesses(parts.layout.temproots, parts.temp_root_file)
            found = list(collection.liveness.temporary_of_others(others, parts.layout.store))
        found += ((str(os.getpid()), path) for path in parts.temp_roots.all())
        return [(f"{{temp:{process}}}", path) for process, path in found]

    def _links(self, report: Report) -> Iterator[FoundRoot]:
        layout = self._parts.layout

        def note(what: str, link: str, target: str) -> None:
            report(RootNote(what, link, target))

        places = (layout.gcroots, layout.profiles)
        return collection.persistent_roots.PersistentRoots(
            places, f"{layout.gcroots}/auto", layout.store, note
        ).find()

    # What is alive

    @contextmanager
    def _look(self, keep: Keep, report: Report, goal: Goal) -> Iterator[Liveness]:
        """A look at the store; roots that are older than the goal wants don't count, and are removed."""

        def links() -> Iterator[StorePath]:
            found = list(self._links(report))
            counting = found
            if goal.older_than is not None:
                counting = collection.outdated.without_outdated(found, goal.older_than, self._parts.layout)
            if not goal.dry_run:
                collection.outdated.remove_outdated(found, counting)
            return (root.target for root in counting)

        sizes = goal.dry_run or goal.max_freed is not None or goal.min_free is not None
        with collection.liveness.looked_at(self._parts, keep, links, sizes=sizes) as liveness:
            report(Marked(liveness.graph.live, len(liveness.graph)))
            yield liveness

    def live_paths(self, keep: Keep, report: Report = _nobody) -> list[StorePath]:
        """Valid paths that something keeps alive."""
        with self._look(keep, report, Goal()) as liveness:
            return sorted(collection.liveness.paths_of(self.database, liveness.graph.rows(alive=True)))

    def dead_paths(self, keep: Keep, report: Report = _nobody) -> list[StorePath]:
        """What a collection would delete: valid paths, and objects in the store directory that aren't."""
        with self._look(keep, report, Goal()) as liveness:
            strays = collection.strays.find_strays(self._parts, liveness.names).objects
            return sorted(
                [*strays, *collection.liveness.paths_of(self.database, liveness.graph.rows(alive=False))]
            )

    def why_live(self, path: StorePath, keep: Keep) -> WhyLive:
        """The shortest way from a root to a valid path; links are preferred to other roots.

        Raises:
            InvalidPathError: it is not valid.
        """
        self._require(path)
        roots = self.find_roots()
        with self.database.snapshot() as connection:
            graph = collection.graph.Graph(connection, keep)
            rows = collection.liveness.rows_of(connection, {path, *(root.target for root in roots)})
        for some in ([root for root in roots if root.is_link], roots):
            starts = {root.target: root.link for root in reversed(some)}
            goals = [row for row, found in rows.items() if found == path]
            way = graph.way([row for row, found in rows.items() if found in starts], *goals)
            if way:
                paths = {row: next(collection.liveness.paths_of(self.database, [row])) for row, _ in way}
                steps = tuple(LiveStep(paths[row], how) for row, how in way)
                return WhyLive(starts[steps[0].path], steps)
        return WhyLive()

    # Deleting

    def collect(self, keep: Keep, goal: Goal, report: Report = _nobody) -> Collected:
        """Delete what is dead, as far as the goal says; told of as it goes.

        May be interrupted (see `tree.interruption`) between any two batches.

        Raises:
            StoreError: another process has temporary roots that it could not write down.
        """
        if goal.dry_run:
            return self._would_collect(keep, goal, report)
        with (
            collection.strays.strays_beside(self._parts) as strays,
            self._collecting(keep, goal, report) as collector,
        ):
            graph = collector.liveness.graph
            steps = [collector.delete_unregistered(strays()), collector.delete_rows(_order(graph, goal))]
            deleted = _count((step for part in steps for step in part), report)
        return Collected(graph.live, deleted, collector.shredder.freed, tuple(sorted(collector.foreign)))

    def _would_collect(self, keep: Keep, goal: Goal, report: Report) -> Collected:
        with self._look(keep, report, goal) as liveness:
            graph, strays = liveness.graph, collection.strays.find_strays(self._parts, liveness.names)
            dead = list(graph.rows(alive=False))
            paths = [*strays.objects, *collection.liveness.paths_of(self.database, dead)]
            size = sum(map(graph.size, dead))
            report(Step([str(path) for path in paths], size))
            return Collected(graph.live, len(paths), size, tuple(sorted(strays.foreign)))

    @contextmanager
    def _collecting(self, keep: Keep, goal: Goal, report: Report) -> Iterator[Collector]:
        self.database.give_up_reserve()
        try:
            with (
                self._look(keep, report, goal) as liveness,
                collection.shredder.shredding(self._parts) as shredder,
            ):
                yield collection.collector.Collector(self._parts, liveness, goal, shredder)
                shredder.wait()
                report(UnusedLinks(shredder.freed))
                report(LinksSave(self._parts.remove_unused_links()))
        finally:
            self.database.reserve()

    def delete(
        self, paths: Iterable[StorePath], keep: Keep, *, referrers: bool = False, report: Report = _nobody
    ) -> Collected:
        """Delete these paths, if nothing keeps them alive.

        Args:
            paths: valid or not; one that isn't there is no error.
            keep: what keeps paths alive besides references.
            referrers: also the dead paths that refer to them; else these keep them.
            report: told of what happens.

        Raises:
            PathAliveError: something keeps one alive; nothing is deleted.
        """
        wanted = list(dict.fromkeys(paths))
        with self._collecting(keep, Goal(), report) as collector:
            graph = collector.liveness.graph
            with self.database.snapshot() as connection:
                rows = collection.liveness.rows_of(connection, wanted)
            order = _deletable(self.database, graph, rows, referrers=referrers)
            strays = [path for path in wanted if path not in rows.values()]
            steps = [collector.delete_rows(order), collector.delete_objects(strays)]
            deleted = _count((step for part in steps for step in part), report)
        if remaining := sorted(self.valid_paths(wanted)):
            raise PathAliveError(str(remaining[0]), hint="somebody has begun to use it: try again later")
        for path in strays:
            self.database.unkeep(path.base)
        return Collected(graph.live, deleted, collector.shredder.freed)


def _order(graph: Graph, goal: Goal) -> Iterator[int]:
    """Dead rows, referrers first; the largest first where not all of them need to go."""
    rows = list(graph.rows(alive=False))
    if goal.max_freed is None and goal.min_free is None:
        rows.reverse()  # what is younger refers to what is older: most are in order already
    else:
        rows.sort(key=graph.size, reverse=True)
    return graph.dead_first_referrers(rows)


def _deletable(
    database: Database, graph: Graph, rows: Mapping[int, StorePath], *, referrers: bool
) -> list[int]:
    """The rows in the order in which they can go, with dead ones that refer to them if `referrers`.

    Raises:
        PathAliveError: one of them has to stay.
    """
    for row, path in rows.items():
        if graph.is_alive(row):
            raise PathAliveError(str(path))
    order = list(graph.dead_first_referrers(rows))
    for before, row in pairwise(order):
        if not referrers and row in rows and before not in rows:
            (referrer,) = collection.liveness.paths_of(database, [before])
            raise PathAliveError(str(rows[row]), str(referrer))
    return order


def _count(steps: Iterable[Step], report: Report) -> int:
    deleted = 0
    for step in steps:
        deleted += len(step.paths)
        report(step)
    return deleted
