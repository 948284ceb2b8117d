"""A graph in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.graph.value import Graph

STYLES: Mapping[str, str] = {
    "input": "",
    "propagated": " [style=bold]",
    "native": " [style=dashed]",
}


def to_dot(graph: Graph, title: str) -> str:
    """Text for `dot`. Keys and labels may hold anything."""
    lines = [
        f"digraph {_quoted(title)} {{",
        "  node [shape=box, style=rounded, fontname=monospace];",
        *(
            f"  {_quoted(node.key)} [label={_quoted(node.label)}{', penwidth=2' if node.root else ''}];"
            for node in graph.nodes
        ),
        *(
            f"  {_quoted(edge.source)} -> {_quoted(edge.target)}{STYLES.get(edge.kind, '')};"
            for edge in graph.edges
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
