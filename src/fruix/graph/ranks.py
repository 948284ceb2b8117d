"""Layout, first step: a row for each node, so that every edge goes down.

Rows by the longest path from above; circles are cut.

Linear in nodes and edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fruix.graph.value import Graph


def ranks(graph: Graph) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Key → row, from 0; and the edges, turned round where that was needed to have no circles."""
    edges = _without_circles(graph)
    targets, degree = _targets(graph, edges)
    rank = dict.fromkeys(targets, 0)
    ready = [key for key in rank if degree[key] == 0]
    while ready:
        key = ready.pop()
        for target in targets[key]:
            rank[target] = max(rank[target], rank[key] + 1)
            degree[target] -= 1
            if degree[target] == 0:
                ready.append(target)
    return _lowered_sources(rank, edges), edges


def _lowered_sources(rank: dict[str, int], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Nodes that nothing points to come down to just above what they point to: shorter edges."""
    pointed_to = {target for _, target in edges}
    nearest: dict[str, int] = {}
    for source, target in edges:
        if source not in pointed_to:
            nearest[source] = min(nearest.get(source, rank[target]), rank[target])
    return rank | {key: row - 1 for key, row in nearest.items()}


def _targets(
    graph: Graph, edges: Sequence[tuple[str, str]]
) -> tuple[Mapping[str, list[str]], dict[str, int]]:
    targets: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    degree = dict.fromkeys(targets, 0)
    for source, target in edges:
        targets[source].append(target)
        degree[target] += 1
    return targets, degree


def _without_circles(graph: Graph) -> list[tuple[str, str]]:
    """Depth first; an edge back to a node on the way is turned round."""
    targets, _ = _targets(graph, [(edge.source, edge.target) for edge in graph.edges])
    edges: dict[tuple[str, str], None] = {}
    state: dict[str, bool] = {}  # True: on the way; False: done
    for root in targets:
        if root in state:
            continue
        state[root] = True
        stack = [(root, iter(targets[root]))]
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
