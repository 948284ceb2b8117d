"""Layout, third step: where in its row each item stands.

As near as possible to the middle of its neighbours, without overlap.

For one row that is least squares with the order kept, which pooling neighbours that would overlap
solves exactly and in linear time ("pool adjacent violators"). The rows pull at each other, so it is
done some times downwards and upwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from fruix.graph.order import Item, Rows

_PASSES = 10
_BEND_WEIGHT = 4.0  # bends hold on to each other more: long edges become straight


def place_rows(rows: Rows, width: Mapping[Item, float], gap: float) -> dict[Item, float]:
    """Item → x of its middle, the least left edge being 0."""
    x: dict[Item, float] = {}
    for row in rows.rows:
        x |= zip(row, pooled([0.0] * len(row), [1.0] * len(row), _distances(row, width, gap)), strict=True)
    for number in range(_PASSES):
        downwards = number % 2 == 0
        for row in rows.rows if downwards else reversed(rows.rows):
            wanted = [_wanted(item, rows, x, downwards=downwards) for item in row]
            weights = [_weight(item, rows) for item in row]
            x |= zip(row, pooled(wanted, weights, _distances(row, width, gap)), strict=True)
    left = min((x[item] - width[item] / 2 for item in x), default=0.0)
    return {item: place - left for item, place in x.items()}


def _distances(row: Sequence[Item], width: Mapping[Item, float], gap: float) -> list[float]:
    return [(width[a] + width[b]) / 2 + gap for a, b in pairwise(row)]


def _wanted(item: Item, rows: Rows, x: Mapping[Item, float], *, downwards: bool) -> float:
    near = (rows.up if downwards else rows.down).get(item)
    return sum(x[one] for one in near) / len(near) if near else x[item]


def _weight(item: Item, rows: Rows) -> float:
    if isinstance(item, tuple):
        return _BEND_WEIGHT
    return 1.0 + 0.1 * (len(rows.up.get(item, ())) + len(rows.down.get(item, ())))


def pooled(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Places as near to `wanted` as the distances allow.

    The sum of the weighted squares of differences is the least; each place has at least its
    distance from the one before.
    """
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    groups: list[tuple[float, float, int]] = []  # mean, weight, how many
    for place, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, total, count = place - offset, weight, 1
        while groups and groups[-1][0] > mean:
            other, other_total, other_count = groups.pop()
            mean = (mean * total + other * other_total) / (total + other_total)
            total += other_total
            count += other_count
        groups.append((mean, total, count))
    means = [mean for mean, _, count in groups for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
