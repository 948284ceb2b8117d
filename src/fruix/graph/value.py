"""A directed graph as a value: nodes with labels, edges with kinds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """`key` is unique; `label` is what people see; `root` marks what was asked for."""

    key: str
    label: str
    root: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """From what needs to what is needed. `kind` is a key of `svg.STYLES` and `dot.STYLES`."""

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
        """Without repetitions, without edges from a node to itself (a store object may have one)."""
        unique = {node.key: node for node in nodes}
        kept = {(edge.source, edge.target): edge for edge in edges if edge.source != edge.target}
        for edge in kept.values():
            assert edge.source in unique, edge
            assert edge.target in unique, edge
        return cls(tuple(unique.values()), tuple(kept.values()))
