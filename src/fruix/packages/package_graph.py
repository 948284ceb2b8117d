"""The graph of what package definitions name as their inputs.

Nothing is lowered, no store is asked. Linear in packages and inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fruix.graph import Graph, Node
from fruix.packages.catalogue import shipped
from fruix.packages.package import Package

# Field of a package → kind of edge.
_KINDS = {"inputs": "input", "propagated_inputs": "propagated", "native_inputs": "native"}


def package_graph(packages: Sequence[Package], *, mark: bool = True) -> Graph:
    """The packages (marked as roots, if so wished) and everything that they are built with.

    Keys are name and version, and a number for others of the same.
    """
    marked = {id(package) for package in packages if mark}
    keys: dict[int, str] = {}
    count: Counter[str] = Counter()

    def node(package: Package) -> Node:
        name = package.full_name
        if id(package) not in keys:
            count[name] += 1
            keys[id(package)] = f"{name} ({count[name]})" if count[name] > 1 else name
        return Node(keys[id(package)], name, root=id(package) in marked)

    return Graph.from_roots(packages, node, inputs_of)


def inputs_of(package: Package) -> Iterator[tuple[str, Package]]:
    """(kind of edge, package) for each input, with the tools of its build system as native ones."""
    for field, kind in _KINDS.items():
        for item in getattr(package, field):
            yield kind, item
    for tool in package.system.tools:
        yield "native", shipped(tool)
