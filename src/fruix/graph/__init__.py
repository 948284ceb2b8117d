"""Directed graphs and their pictures.

The value, shortest paths, DOT text, a layered layout and SVG text. No other program is needed.

What lives here: `value` (the graph), `paths` (breadth first), `dot`, `ranks`, `order` and `positions`
(the three steps of the layout), `layered`, `svg`.
"""

from fruix.graph.dot import to_dot
from fruix.graph.paths import shortest_paths
from fruix.graph.svg import to_svg
from fruix.graph.value import Edge, Graph, Node

__all__ = ["Edge", "Graph", "Node", "shortest_paths", "to_dot", "to_svg"]
