"""The graph of valid paths in memory, by integers, and what is alive in it.

Loaded once by a few queries and kept in arrays: a path is the number of its row (`ValidPaths.id`);
its text is asked for when it is deleted. An edge leads from what keeps something alive to what it
keeps: from a path to its references; from an output to the derivation that it was built from
(`keep-derivations`); from a derivation to its outputs (`keep-outputs`).

What is alive is found by going through all edges, those of the newest rows first. References are older
than what refers to them, so that two or three times are enough but for odd graphs; what is left is
followed edge by edge then.

Cost: a byte for each row that there ever was and 8 an edge; a million paths with two million edges
took 1.5 s of processor time and 20 MiB. Nothing is written, neither to the database nor to files of
SQLite's own.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain, compress

from fruix.model.garbage import Keep
from fruix.store import schema

_UNKNOWN, _DEAD, _ALIVE = range(3)  # states of a row
_TIMES = 4  # how often all edges are gone through
_AT_ONCE = 5000  # rows that are read at once


def edges_of(keep: Keep) -> dict[str, str]:
    """The queries that give the edges, by what their ends are to their beginnings."""
    return {
        "reference": schema.EDGES_REFERENCES,
        **({"deriver": schema.EDGES_DERIVERS} if keep.derivations else {}),
        **({"output": schema.EDGES_OUTPUTS} if keep.outputs else {}),
    }


class Adjacency:
    """Edges between rows, found by the row that they begin at."""

    def __init__(self, newest: int, begins: Sequence[int], ends: Sequence[int]) -> None:
        """`newest`: the highest row; edges lead from `begins[i]` to `ends[i]`, in any order."""
        counts = array("i", bytes(4 * (newest + 2)))
        for begin in begins:
            counts[begin + 1] += 1
        self._first = array("i", accumulate(counts))
        free = self._first[:]
        targets = array("i", bytes(4 * len(ends)))
        for begin, end in zip(begins, ends, strict=True):
            targets[free[begin]] = end
            free[begin] += 1
        self._targets = targets

    def of(self, row: int) -> array[int]:
        """Where the edges from a row lead."""
        return self._targets[self._first[row] : self._first[row + 1]]


class Edges:
    """All edges of one kind, ordered by the rows that they begin at."""

    def __init__(self, newest: int, begins: array[int], ends: array[int]) -> None:
        """`begins` is sorted; edges lead from `begins[i]` to `ends[i]`, of which none is above `newest`."""
        self._newest = newest
        self._begins, self._ends = begins, ends

    def __len__(self) -> int:
        """How many there are."""
        return len(self._ends)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Beginnings and ends, those that begin at the newest rows first."""
        return zip(reversed(self._begins), reversed(self._ends), strict=True)

    def of(self, row: int) -> array[int]:
        """Where the edges from a row lead. For a few rows: some 2 µs."""
        first = bisect_left(self._begins, row)
        return self._ends[first : bisect_right(self._begins, row, first)]

    @cached_property
    def adjacency(self) -> Adjacency:
        """The same for many rows: it takes some 0.3 µs an edge to make it."""
        return Adjacency(self._newest, self._begins, self._ends)


class Graph:
    """Valid paths as they were at one moment, and which of them are alive.

    Attributes:
        newest: the highest row that it knows.
        keep: what keeps paths alive.
    """

    def __init__(self, connection: sqlite3.Connection, keep: Keep, *, sizes: bool = False) -> None:
        """Load it through a connection that is within a transaction; `sizes`: these too."""
        self.keep = keep
        self._states = _load_states(connection)
        self.newest = len(self._states) - 1
        self._edges = {name: self._load(connection, query) for name, query in edges_of(keep).items()}
        self._sizes = self._load_sizes(connection) if sizes else array("q")
        self._is_marked = False

    def _load(self, connection: sqlite3.Connection, statement: str) -> Edges:
        if statement == schema.EDGES_REFERENCES:
            return self._load_references(connection)
        flat = array("i", chain.from_iterable(connection.execute(statement, (0,))))
        return Edges(self.newest, flat[::2], flat[1::2])

    def _load_references(self, connection: sqlite3.Connection) -> Edges:
        columns = (array("i"), array("i"))
        for start in range(0, self.newest, _AT_ONCE):
            texts = connection.execute(schema.GRAPH_REFERENCES, (start, start + _AT_ONCE)).fetchone()
            for column, text in zip(columns, texts, strict=True):
                column.extend(json.loads(text))
        return Edges(self.newest, *columns)

    def _load_sizes(self, connection: sqlite3.Connection) -> array[int]:
        sizes = array("q", bytes(8 * len(self._states)))
        for row, size in connection.execute(schema.GRAPH_SIZES):
            sizes[row] = size
        return sizes

    def __len__(self) -> int:
        return len(self._states) - self._states.count(_UNKNOWN)

    @property
    def live(self) -> int:
        """How many of the paths are alive."""
        return self._states.count(_ALIVE)

    def mark(self, rows: Iterable[int]) -> None:
        """These paths are alive, and all that they keep. Rows that it doesn't know count for nothing.

        The first time all edges are gone through; later ones cost some 3 µs for each path that they mark.
        """
        states = self._states
        waiting = [row for row in rows if 0 <= row <= self.newest and states[row] == _DEAD]
        for row in waiting:
            states[row] = _ALIVE
        if waiting and not self._is_marked:
            self._is_marked = True
            if any(not self._go_through() for _ in range(_TIMES)):
                return
            waiting = [row for row, _ in self._unfollowed()]
        self._follow(waiting)

    def _go_through(self) -> bool:
        """Follow all edges once; whether one has marked something."""
        states, has_marked = self._states, False
        for edges in self._edges.values():
            for begin, end in edges:
                if states[begin] == _ALIVE and states[end] == _DEAD:
                    states[end] = _ALIVE
                    has_marked = True
        return has_marked

    def _unfollowed(self) -> Iterator[tuple[int, int]]:
        """Edges that lead from what is alive to what isn't."""
        states = self._states
        return (
            edge
            for edges in self._edges.values()
            for edge in edges
            if states[edge[0]] == _ALIVE and states[edge[1]] == _DEAD
        )

    def _follow(self, waiting: list[int]) -> None:
        """Mark what these rows, which are alive, keep."""
        states = self._states
        while waiting:
            row = waiting.pop()
            for edges in self._edges.values():
                for end in edges.of(row):
                    if states[end] == _DEAD:
                        states[end] = _ALIVE
                        waiting.append(end)

    def is_alive(self, row: int) -> bool:
        """Whether a path is alive; one that is newer than the graph is."""
        return row > self.newest or self._states[row] != _DEAD

    def rows(self, *, alive: bool) -> Iterator[int]:
        """The rows of all paths that are alive, or of all that are not."""
        wanted = _ALIVE if alive else _DEAD
        return compress(range(len(self._states)), map(wanted.__eq__, self._states))

    def size(self, row: int) -> int:
        """The size of a path's archive, in bytes, where sizes were loaded."""
        return self._sizes[row]

    def way(self, roots: Iterable[int], goal: int) -> list[tuple[int, str]]:
        """The shortest way from any of the roots to a row, in rows, each with what led to it.

        Empty if there is none.
        """
        before: dict[int, tuple[int, str]] = {}
        layer = [row for row in roots if 0 <= row <= self.newest]
        before.update((row, (-1, "root")) for row in layer)
        while layer and goal not in before:
            reached = [
                (end, row, how)
                for row in layer
                for how, edges in self._edges.items()
                for end in edges.adjacency.of(row)
            ]
            layer = []
            for end, row, how in reached:
                if end not in before:
                    before[end] = row, how
                    layer.append(end)
        steps: list[tuple[int, str]] = []
        while goal in before:
            row, how = before[goal]
            steps.append((goal, how))
            goal = row
        return steps[::-1]

    def dead_first_referrers(self, rows: Iterable[int]) -> Iterator[int]:
        """Put dead rows into an order in which whatever refers to a path comes before it.

        Each of `rows` is given after all dead paths that refer to it, directly or not, that were
        not given yet; so whatever stands first among `rows` is deleted with as few others as can be.
        """
        states = self._states
        begins, ends = array("i"), array("i")
        for begin, end in self._edges["reference"]:
            if states[begin] == _DEAD and states[end] == _DEAD:
                begins.append(end)
                ends.append(begin)
        referrers = Adjacency(self.newest, begins, ends)
        given = states.translate(_AS_GIVEN)
        for row in rows:
            yield from _after(row, referrers, given)


def _load_states(connection: sqlite3.Connection) -> bytearray:
    """The state of each row up to the newest."""
    states, last = bytearray(1), 0
    while rows := json.loads(connection.execute(schema.GRAPH_ROWS, (last, _AT_ONCE)).fetchone()[0]):
        first, last = rows[0], rows[-1]
        states.extend(bytes(last + 1 - len(states)))
        if last - first < len(rows):  # none is missing
            states[first : last + 1] = bytes((_DEAD,)) * len(rows)
        else:
            for row in rows:
                states[row] = _DEAD
    return states


_GIVEN, _OPEN = 1, 2
_AS_GIVEN = bytes(0 if state == _DEAD else _GIVEN for state in range(256))


def _after(start: int, before: Adjacency, given: bytearray) -> Iterator[int]:
    """Yield a row behind all that come before it, without what is given already."""
    stack = [start]
    while stack:
        row = stack[-1]
        waiting = [other for other in before.of(row) if not given[other]]
        if given[row] == _GIVEN:
            stack.pop()
        elif waiting:
            given[row] = _OPEN  # a circle, which no registration makes, is given in some order
            stack.extend(waiting)
        else:
            given[row] = _GIVEN
            stack.pop()
            yield row
