"""Edges of the graph of valid paths, as arrays of row numbers."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate


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

    def between(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Those that begin after the row `low`, and not after `high`; the newest rows first."""
        first = bisect_right(self._begins, low)
        last = bisect_right(self._begins, high, first)
        return zip(reversed(self._begins[first:last]), reversed(self._ends[first:last]), strict=True)

    def of(self, row: int) -> array[int]:
        """Where the edges from a row lead. For a few rows: some 2 µs."""
        first = bisect_left(self._begins, row)
        return self._ends[first : bisect_right(self._begins, row, first)]

    @cached_property
    def adjacency(self) -> Adjacency:
        """The same for many rows: it takes some 0.3 µs an edge to make it."""
        return Adjacency(self._newest, self._begins, self._ends)
