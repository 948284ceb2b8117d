"""Directed graphs and their pictures.

The value, shortest paths, a layered layout, DOT text and SVG text. No other program is needed.

What lives here: `value` (the graph, and paths), `ranks`, `order` and `positions` (the three steps of
the layout), `layered`, `formats`.
"""

from fruix.graph.formats import to_dot, to_svg
from fruix.graph.value import Edge, Graph, Node, shortest_paths

__all__ = ["Edge", "Graph", "Node", "shortest_paths", "to_dot", "to_svg"]
