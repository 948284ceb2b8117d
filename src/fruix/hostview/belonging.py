"""What of a view belongs to which package of the host.

No part of the fingerprint: it explains one that changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fruix.hostview.closure import Gathered
from fruix.hostview.lookups import Host
from fruix.hostview.owners import OwningPackage, PackageRecords
from fruix.model.hostview import HostPackage

# Directories that are links on many systems, while packages still list files by their former names,
# and so these too.
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")


def packages_shown(gathered: Gathered, records: PackageRecords) -> dict[str, HostPackage]:
    """The packages that have something of what is shown, by name.

    From now on it matters how their records look.
    """
    items = _items(gathered)
    trees = [tree for tree in gathered.trees if tree not in gathered.partial]
    found: dict[str, HostPackage] = {}
    for package in records.packages():
        paths = {items[path] for path in package.files & items.keys()} | _trees_of(package, trees)
        if paths:
            for record in package.records:
                gathered.host.status(record)
            former = found[package.name].paths if package.name in found else ()
            found[package.name] = HostPackage(package.version, tuple(sorted(paths.union(former))))
    return found


def _items(gathered: Gathered) -> dict[str, str]:
    """Path, by each name that a package may have for it → what it is part of in the view."""
    items = {path: path for path in (*gathered.files, *gathered.links) if path not in _MERGED}
    items |= {path: place for place, leaves in gathered.parts.items() for path in leaves}
    return {name: item for path, item in items.items() for name in _names(path, gathered.host)}


def _names(path: str, host: Host) -> Iterator[str]:
    yield path
    for link in _MERGED:
        found = host.find(link)
        if found is not None and found.path != link and path.startswith(f"{found.path}/"):
            yield link + path.removeprefix(found.path)


def _trees_of(package: OwningPackage, trees: Iterable[str]) -> set[str]:
    """The trees in which a package has files."""
    pattern = re.compile("|".join(f"({re.escape(tree)})/." for tree in trees))
    if not pattern.groups:
        return set()
    return {match[match.lastindex or 0] for path in package.files if (match := pattern.match(path))}
