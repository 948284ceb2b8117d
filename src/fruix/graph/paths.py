"""Shortest paths by breadth-first search.

Cost: each node's neighbours are asked for once, nearest first, and none beyond the goal's distance.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def shortest_paths(start: T, goal: T, neighbours: Callable[[T], Iterable[T]]) -> Iterator[list[T]]:
    """All paths of the least number of steps, in the order of the neighbours.

    None if the goal can't be reached.
    """
    before: dict[T, list[T]] = {start: []}
    layer = [start]
    while layer and goal not in before:
        found: dict[T, list[T]] = {}
        for node in layer:
            for next_node in neighbours(node):
                if next_node not in before:
                    steps = found.setdefault(next_node, [])
                    if node not in steps:
                        steps.append(node)
        before |= found
        layer = list(found)
    if goal in before:
        yield from _backwards(goal, before)


def _backwards(goal: T, before: dict[T, list[T]]) -> Iterator[list[T]]:
    """From the goal back to the start.

    A stack of half paths, as there may be more than recursion allows.
    """
    ahead = [[goal]]
    while ahead:
        path = ahead.pop()
        steps = before[path[-1]]
        if not steps:
            yield path[::-1]
        ahead.extend([*path, step] for step in reversed(steps))
