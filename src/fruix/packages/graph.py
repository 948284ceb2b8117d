"""What package definitions say of each other, as a graph: nothing is lowered, no store is asked. Linear in packages and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruix.graph import Edge, Graph, Node
from fruix.packages.catalogue import shipped
from fruix.packages.package import Package

# Field of a package → kind of edge.
_KINDS = {"inputs": "input", "propagated_inputs": "propagated", "native_inputs": "native"}


def inputs_of(package: Package) -> Iterator[tuple[str, Package]]:
    """(kind of edge, package) for each input, with the tools of its build system as native ones."""
    for field, kind in _KINDS.items():
        for item in getattr(package, field):
            yield kind, item
    for tool in package.system.tools:
        yield "native", shipped(tool)


def package_graph(packages: Sequence[Package], *, mark: bool = True) -> Graph:
    """The packages (marked as roots, if so wished) and everything that they are built with.

    Keys are name and version, and a number for others of the same.
    """
    name = _Names()
    nodes: list[Node] = []
    edges: list[Edge] = []
    seen: set[int] = set()
    waiting = list(reversed(packages))
    marked = {id(package) for package in packages if mark}
    while waiting:
        package = waiting.pop()
        if id(package) in seen:
            continue
        seen.add(id(package))
        nodes.append(Node(name(package), package.full_name, root=id(package) in marked))
        inputs = list(inputs_of(package))
        edges += [Edge(name(package), name(item), kind) for kind, item in inputs]
        waiting += [item for _, item in reversed(inputs)]
    return Graph.of(nodes, edges)


class _Names:
    """A different text for every object, readable for most."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._count: dict[str, int] = {}

    def __call__(self, package: Package) -> str:
        if id(package) not in self._names:
            count = self._count[package.full_name] = self._count.get(package.full_name, 0) + 1
            self._names[id(package)] = package.full_name + (f" ({count})" if count > 1 else "")
        return self._names[id(package)]
