"""Directed graphs and their pictures.

The value, shortest paths, a layered layout, DOT text and SVG text. No other program is needed.

What lives here: `value` (the graph, and paths), `ranks`, `order` and `positions` (the three steps of
the layout), `layered`, `formats`.
"""

from __future__ import annotations

from fruix.late import late_names

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.graph.formats import to_dot, to_svg
    from fruix.graph.value import Edge, Graph, Node, shortest_paths

__all__ = ["Edge", "Graph", "Node", "shortest_paths", "to_dot", "to_svg"]

# Who looks for paths draws nothing.
__getattr__ = late_names(
    __name__,
    {
        **dict.fromkeys(("Edge", "Graph", "Node", "shortest_paths"), "value"),
        **dict.fromkeys(("to_dot", "to_svg"), "formats"),
    },
)
