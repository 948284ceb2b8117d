"""A directed graph as a value: nodes with labels, edges with kinds. And the shortest ways through one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from fruix.dataclass import dataclass

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Node:
    """`key` is unique; `label` is what people see; `root` marks what was asked for."""

    key: str
    label: str
    root: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """From what needs to what is needed. `kind` is `input`, `propagated`, `native` or `reference`."""

    source: str
    target: str
    kind: str = "input"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges in a fixed order; every edge's ends are among the nodes."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(cls, nodes: Iterable[Node], edges: Iterable[Edge]) -> Graph:
        """A graph without repetitions and without edges from a node to itself.

        A store object may refer to itself.
        """
        unique = {node.key: node for node in nodes}
        kept = {(edge.source, edge.target): edge for edge in edges if edge.source != edge.target}
        for edge in kept.values():
            assert edge.source in unique, edge
            assert edge.target in unique, edge
        return cls(tuple(unique.values()), tuple(kept.values()))

    @classmethod
    def from_roots(
        cls, roots: Sequence[T], node: Callable[[T], Node], needs: Callable[[T], Iterable[tuple[str, T]]]
    ) -> Graph:
        """Everything that can be reached from the roots, depth first.

        Args:
            roots: where to begin.
            node: the node of an item.
            needs: (kind of edge, item) for all that an item needs; called once for each node.
        """
        nodes: dict[str, Node] = {}
        edges: list[Edge] = []
        waiting = list(reversed(roots))
        while waiting:
            item = waiting.pop()
            source = node(item)
            if source.key in nodes:
                continue
            nodes[source.key] = source
            needed = list(needs(item))
            edges += [Edge(source.key, node(target).key, kind) for kind, target in needed]
            waiting += [target for _, target in reversed(needed)]
        return cls.of(nodes.values(), edges)


def shortest_paths(start: H, goal: H, neighbours: Callable[[H], Iterable[H]]) -> Iterator[list[H]]:
    """All paths of the least number of steps, in the order of the neighbours.

    None if the goal can't be reached. Cost: each node's neighbours are asked for once, nearest first,
    and none beyond the goal's distance.
    """
    before: dict[H, list[H]] = {start: []}
    layer = [start]
    while layer and goal not in before:
        found: dict[H, list[H]] = {}
        for node in layer:
            for next_node in dict.fromkeys(neighbours(node)):
                if next_node not in before:
                    found.setdefault(next_node, []).append(node)
        before |= found
        layer = list(found)
    if goal in before:
        yield from _backwards(goal, before)


def _backwards(goal: H, before: dict[H, list[H]]) -> Iterator[list[H]]:
    """The paths, made from the goal back to the start.

    A stack of half paths, as there may be more than recursion allows.
    """
    ahead = [[goal]]
    while ahead:
        path = ahead.pop()
        steps = before[path[-1]]
        if not steps:
            yield path[::-1]
        ahead.extend([*path, step] for step in reversed(steps))
