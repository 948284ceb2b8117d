"""Layout, second step: the order of nodes within their rows, with few crossings.

Barycentres, downwards and upwards in turn; the best order is kept.

An edge over several rows becomes a chain with a bend in each, and bends take part in the ordering.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise

from fruix.dataclass import dataclass

_SWEEPS = 12

Item = str | tuple[str, str, int]  # a node's key, or a bend: edge and row


@dataclass(slots=True)
class Rows:
    """Rows of items; `up` and `down` are an item's neighbours in the rows next to it."""

    rows: list[list[Item]]
    up: dict[Item, list[Item]]
    down: dict[Item, list[Item]]
    chains: dict[tuple[str, str], list[Item]]


def build_rows(rank: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> Rows:
    """The rows in the order of the nodes, with bends put in."""
    items: list[list[Item]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for key, row in rank.items():
        items[row].append(key)
    rows = Rows(items, {}, {}, {})
    for source, target in edges:
        bends: list[Item] = [(source, target, row) for row in range(rank[source] + 1, rank[target])]
        for bend, row in zip(bends, range(rank[source] + 1, rank[target]), strict=True):
            items[row].append(bend)
        chain: list[Item] = [source, *bends, target]
        rows.chains[source, target] = chain
        for above, below in pairwise(chain):
            rows.down.setdefault(above, []).append(below)
            rows.up.setdefault(below, []).append(above)
    return rows


def order_rows(rows: Rows) -> None:
    """Sort every row so that few edges cross; at most 12 passes."""
    best, fewest = [list(row) for row in rows.rows], crossings(rows)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        _sweep(rows, downwards=downwards)
        number = crossings(rows)
        if number < fewest:
            best, fewest = [list(row) for row in rows.rows], number
        if fewest == 0:
            break
    rows.rows = best


def _sweep(rows: Rows, *, downwards: bool) -> None:
    neighbours = rows.up if downwards else rows.down
    numbers = range(1, len(rows.rows)) if downwards else range(len(rows.rows) - 2, -1, -1)
    for number in numbers:
        before = rows.rows[number - 1 if downwards else number + 1]
        place = {item: index for index, item in enumerate(before)}
        row = rows.rows[number]
        centre = {
            item: sum(place[one] for one in near) / len(near) if (near := neighbours.get(item)) else index
            for index, item in enumerate(row)
        }
        row.sort(key=centre.__getitem__)


def crossings(rows: Rows) -> int:
    """How many pairs of edges cross, over all rows."""
    total = 0
    for upper, lower in pairwise(rows.rows):
        place = {item: index for index, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(place[below] for below in rows.down.get(item, ()))
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
