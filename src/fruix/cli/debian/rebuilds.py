"""Which packages are built anew when pieces of a root change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fruix.cli.debian.changes import Change
from fruix.packages.package import Package
from fruix.packages.package_graph import inputs_of
from fruix.packages.roots import find_root
from fruix.packages.roots.pins import BASE, RUNTIME


def rebuilt(root: str, found: Iterable[Change], packages: Iterable[Package]) -> Mapping[str, list[str]]:
    """System → names of the packages, in their order.

    A package is built anew if a piece of its root's changes, of the variants in its root's name
    too, or if one of its inputs is.
    """
    changed: dict[str, set[str]] = {}
    for change in found:
        changed.setdefault(change.system, set()).update(change.groups)

    known: dict[tuple[int, str], bool] = {}

    def is_rebuilt(package: Package, system: str) -> bool:
        key = id(package), system
        if key not in known:
            pins, variants = find_root(name) if (name := package.root_on(system)) else (None, ())
            groups = {BASE, RUNTIME, *variants} if pins is not None and pins.name == root else set()
            known[key] = not groups.isdisjoint(changed[system]) or any(
                is_rebuilt(each, system) for _, each in inputs_of(package)
            )
        return known[key]

    listed = list(packages)
    return {system: [package.name for package in listed if is_rebuilt(package, system)] for system in changed}
