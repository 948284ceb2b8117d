"""Layout, first step: a row for each node, so that every edge goes down.

Rows by the longest path from above; circles are cut.

Linear in nodes and edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import TopologicalSorter

from fruix.graph.value import Graph


def ranks(graph: Graph) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Key → row, from 0; and the edges, turned round where that was needed to have no circles."""
    edges = _without_circles(graph)
    above: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    for source, target in edges:
        above[target].append(source)
    rank = dict.fromkeys(above, 0)
    for key in TopologicalSorter(above).static_order():
        rank[key] = max((rank[source] + 1 for source in above[key]), default=0)
    return _lowered_sources(rank, edges), edges


def _lowered_sources(rank: dict[str, int], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Nodes that nothing points to come down to just above what they point to: shorter edges."""
    pointed_to = {target for _, target in edges}
    nearest: dict[str, int] = {}
    for source, target in edges:
        if source not in pointed_to:
            nearest[source] = min(nearest.get(source, rank[target]), rank[target])
    return rank | {key: row - 1 for key, row in nearest.items()}


def _without_circles(graph: Graph) -> list[tuple[str, str]]:
    """Depth first; an edge back to a node on the way is turned round."""
    targets: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    for edge in graph.edges:
        targets[edge.source].append(edge.target)
    edges: dict[tuple[str, str], None] = {}
    state: dict[str, bool] = {}  # True: on the way; False: done
    for root, below in targets.items():
        if root in state:
            continue
        state[root] = True
        stack = [(root, iter(below))]
        while stack:
            key, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                state[key] = False
                stack.pop()
                continue
            edges[(target, key) if state.get(target) else (key, target)] = None
            if target not in state:
                state[target] = True
                stack.append((target, iter(targets[target])))
    return list(edges)
