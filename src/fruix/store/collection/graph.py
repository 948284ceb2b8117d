"""The graph of valid paths in memory, by integers, and what is alive in it.

Loaded once by a few queries and kept in arrays: a path is the number of its row (`ValidPaths.id`),
inside a place in an array; its text is asked for when it is deleted. An edge leads from what keeps
something alive to what it keeps: from a path to its references; from an output to the derivation
that it was built from (`keep-derivations`); from a derivation to its outputs (`keep-outputs`).

Cost: 4 bytes for each row that there ever was, some 30 a path and 8 an edge; 200,000 paths with a
million edges took 1.4 s of processor time and 45 MiB. Nothing is written, neither to the database
nor to files of SQLite's own.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from fruix.model.garbage import Keep
from fruix.store import schema


def edges_of(keep: Keep) -> dict[str, str]:
    """The queries that give the edges, by what their ends are to their beginnings."""
    return {
        "reference": schema.EDGES_REFERENCES,
        **({"deriver": schema.EDGES_DERIVERS} if keep.derivations else {}),
        **({"output": schema.EDGES_OUTPUTS} if keep.outputs else {}),
    }


class Adjacency:
    """Edges between places, found by the place that they begin at."""

    def __init__(self, size: int, begins: Sequence[int], ends: Sequence[int]) -> None:
        """`size` places; edges lead from `begins[i]` to `ends[i]`, in any order."""
        first = array("i", bytes(4 * (size + 1)))
        for begin in begins:
            first[begin + 1] += 1
        total = 0
        for place in range(size + 1):
            total += first[place]
            first[place] = total
        free = first[:]
        targets = array("i", bytes(4 * len(ends)))
        for begin, end in zip(begins, ends, strict=True):
            targets[free[begin]] = end
            free[begin] += 1
        self._first, self._targets = first, targets

    def __len__(self) -> int:
        """How many edges there are."""
        return len(self._targets)

    def of(self, place: int) -> array[int]:
        """Where the edges from a place lead."""
        return self._targets[self._first[place] : self._first[place + 1]]


class Graph:
    """Valid paths as they were at one moment, and which of them are alive.

    Attributes:
        newest: the highest row that it knows.
        keep: what keeps paths alive.
        live: how many of the paths are alive.
    """

    def __init__(self, connection: sqlite3.Connection, keep: Keep) -> None:
        """Load it through a connection that is within a transaction."""
        self.keep = keep
        rows = array("q", chain.from_iterable(connection.execute(schema.GRAPH_ROWS)))
        self._rows, self._sizes = rows[::2], rows[1::2]
        self.newest = self._rows[-1] if self._rows else 0
        self._places = array("i", [-1]) * (self.newest + 1)
        for place, row in enumerate(self._rows):
            self._places[row] = place
        self._edges = {name: self._load(connection, query) for name, query in edges_of(keep).items()}
        self._alive = bytearray(len(self._rows))
        self.live = 0

    def _load(self, connection: sqlite3.Connection, statement: str) -> Adjacency:
        flat = array("q", chain.from_iterable(connection.execute(statement, (0,))))
        places = self._places.__getitem__
        begins, ends = array("i", map(places, flat[::2])), array("i", map(places, flat[1::2]))
        return Adjacency(len(self._rows), begins, ends)

    def __len__(self) -> int:
        return len(self._rows)

    def mark(self, rows: Iterable[int]) -> None:
        """These paths are alive, and all that they keep. Rows that it doesn't know count for nothing."""
        alive = self._alive
        kinds = [edges for edges in self._edges.values() if len(edges)]
        waiting = [place for row in rows if (place := self._place(row)) >= 0]
        while waiting:
            place = waiting.pop()
            if alive[place]:
                continue
            alive[place] = 1
            self.live += 1
            for edges in kinds:
                waiting.extend(target for target in edges.of(place) if not alive[target])

    def _place(self, row: int) -> int:
        """-1 for a row that it doesn't know."""
        return self._places[row] if 0 <= row <= self.newest else -1

    def is_alive(self, row: int) -> bool:
        """Whether a path is alive; one that is newer than the graph is."""
        place = self._place(row)
        return place < 0 or bool(self._alive[place])

    def rows(self, *, alive: bool) -> Iterator[int]:
        """The rows of all paths that are alive, or of all that are not."""
        return (row for row, state in zip(self._rows, self._alive, strict=True) if bool(state) is alive)

    def size(self, row: int) -> int:
        """The size of a path's archive, in bytes."""
        return int(self._sizes[self._places[row]])

    def way(self, roots: Iterable[int], goal: int) -> list[tuple[int, str]]:
        """The shortest way from any of the roots to a row, in rows, each with what led to it.

        Empty if there is none.
        """
        before: dict[int, tuple[int, str]] = {}
        layer = [place for row in roots if (place := self._place(row)) >= 0]
        before.update((place, (-1, "root")) for place in layer)
        end = self._place(goal)
        while layer and end not in before:
            reached = [
                (target, place, how)
                for place in layer
                for how, edges in self._edges.items()
                for target in edges.of(place)
            ]
            layer = []
            for target, place, how in reached:
                if target not in before:
                    before[target] = place, how
                    layer.append(target)
        steps: list[tuple[int, str]] = []
        while end in before:
            place, how = before[end]
            steps.append((self._rows[end], how))
            end = place
        return steps[::-1]

    def dead_first_referrers(self, rows: Iterable[int]) -> Iterator[int]:
        """Put dead rows into an order in which whatever refers to a path comes before it.

        Each of `rows` is given after all dead paths that refer to it, directly or not, that were
        not given yet; so whatever stands first among `rows` is deleted with as few others as can be.
        """
        dead = [place for place, state in enumerate(self._alive) if not state]
        begins, ends = array("i"), array("i")
        for place in dead:
            for target in self._edges["reference"].of(place):
                if not self._alive[target]:
                    begins.append(target)
                    ends.append(place)
        referrers = Adjacency(len(self._rows), begins, ends)
        given = bytearray(self._alive)
        for row in rows:
            yield from (self._rows[place] for place in _after(self._place(row), referrers, given))


_GIVEN, _OPEN = 1, 2


def _after(start: int, before: Adjacency, given: bytearray) -> Iterator[int]:
    """Yield a place behind all that come before it, without what is given already."""
    stack = [start]
    while stack:
        place = stack[-1]
        waiting = [other for other in before.of(place) if not given[other]]
        if given[place] == _GIVEN:
            stack.pop()
        elif waiting:
            given[place] = _OPEN  # a circle, which no registration makes, is given in some order
            stack.extend(waiting)
        else:
            given[place] = _GIVEN
            stack.pop()
            yield place
