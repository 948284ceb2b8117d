"""From a definition to what this host has: binds and links for a sandbox, and the fingerprint of it all.

A resolution is kept with the record of every look at the host that led to it (what was seen, as a
mark). Asking again looks once more at the same places (a `lstat` each, some ten thousand for a C
compiler with its headers) and opens nothing but the history. Kept in the cache directory:
`NAME.state` (the last resolution), `NAME.hashes` (contents of files), and what `view_history` keeps to
explain a later difference.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from fruix.dataclass import asdict, astuple, dataclass, replace
from fruix.errors import HostViewError
from fruix.hostview.belonging import packages_shown
from fruix.hostview.cache_files import read_json, write_json
from fruix.hostview.closure import Gathered, hinted_directories
from fruix.hostview.definition import ViewDefinition
from fruix.hostview.fingerprint import (
    SETTLED_NS,
    FileHashes,
    Shown,
    digest_shown,
    show_file,
    show_part,
    show_tree,
)
from fruix.hostview.lookups import Host, Look, changed
from fruix.hostview.owners import PackageRecords, package_records
from fruix.hostview.parts import Part, PartFinder
from fruix.hostview.view_history import keep_view
from fruix.model.hostview import HostPackage, HostView
from fruix.sandbox.spec import Bind, Link

# Where programs look by themselves: libraries' names in linker scripts, loaders' names in programs.
_WAYS = ("/lib", "/lib64")
_FORMAT = 5


@dataclass(frozen=True, slots=True)
class ResolvedView:
    """A view as this host has it now.

    `binds` and `links` are disjoint, and no bind lies below another or below a link.

    Attributes:
        hidden: directories in what is bound that are to be shown empty.
        seen: how everything looked that is shown, for `touched`.
        settled: whether a later change of that is surely seen: nothing of it was younger than the
            clock is exact.
    """

    view: HostView
    binds: tuple[Bind, ...]
    links: tuple[Link, ...]
    hidden: tuple[str, ...] = ()
    seen: tuple[Look, ...] = ()
    settled: bool = True


def touched(resolved: ResolvedView) -> str | None:
    """The first thing that was shown and isn't now what it was when it was resolved.

    None if everything is. Costs a `lstat` each.
    """
    return next(changed(resolved.seen), None)


def resolve_view(definition: ViewDefinition, cache_dir: str, *, hide: bool = False) -> ResolvedView:
    """What is to be shown; read from the cache if the host is still the same.

    Args:
        definition: what is wanted.
        cache_dir: see above.
        hide: Python's caches are hidden, where sandboxes can do that; else they are part of the view.

    Raises:
        HostViewChangedError: things changed meanwhile.
        HostViewError: a required tool or tree is missing, or a tree holds what can't be shown.
    """
    state_file = f"{cache_dir}/{definition.name}.state"
    asked = {**_plain(definition), "hide": hide}
    kept = _kept(read_json(state_file), asked)
    if kept is not None:
        keep_view(kept.view, cache_dir)
        return kept
    started = time.time_ns()
    host = Host(hide_caches=hide)
    used = _complete(definition, host)
    records = package_records()
    gathered = _gather(used, host, records)
    packages = packages_shown(gathered, records)
    hashes = FileHashes(f"{cache_dir}/{definition.name}.hashes")
    shown = list(_shown(gathered, hashes))
    settled = host.newest < started - SETTLED_NS
    bound = {*gathered.files, *gathered.trees}
    seen, others = _parted(bound, host.looks())
    what = _What(
        shown, used.path, sorted(bound), gathered.links, _hidden(host, gathered.trees), seen, packages
    )
    resolved = _resolved(definition.name, what, settled=settled)
    hashes.save()
    keep_view(resolved.view, cache_dir)
    if settled:
        write_json(state_file, {"format": _FORMAT, "asked": asked, "others": others, **_as_kept(what)})
    return resolved


def _complete(definition: ViewDefinition, host: Host) -> ViewDefinition:
    """The definition, or what stands in for it when it lacks a tool."""
    if definition.instead is None:
        return definition
    places = [[f"{directory}/{tool}" for directory in definition.path] for tool in definition.tools]
    if all(any(_is_file(host, path) for path in paths) for paths in places):
        return definition
    return replace(definition.instead, name=definition.name)


def _is_file(host: Host, path: str) -> bool:
    found = host.find(path)
    return found is not None and found.is_file


def _gather(definition: ViewDefinition, host: Host, records: PackageRecords) -> Gathered:
    gathered = Gathered(host)
    _add_directories(gathered, definition, records)
    for way in (*definition.path, *_WAYS):
        gathered.add_way(way)
    _add_files(gathered, definition)
    more = (
        hinted_directories(definition.hints)
        if definition.hints and gathered.add_file(definition.hints)
        else ()
    )
    gathered.close((*definition.libraries, *more))
    return gathered


def _add_directories(gathered: Gathered, definition: ViewDefinition, records: PackageRecords) -> None:
    for tree in definition.trees:
        if not _add_trees(gathered, tree):
            raise HostViewError(
                f"host view '{definition.name}' needs the directory {tree}, which is not there",
                hint="install what it belongs to, or change the view in the configuration",
            )
    for tree in definition.optional_trees:
        _add_trees(gathered, tree)
    finder = PartFinder(gathered.host, definition.path, records)
    for part in definition.parts:
        _add_part(gathered, finder, part, definition.name)


def _add_files(gathered: Gathered, definition: ViewDefinition) -> None:
    for tool in definition.tools:
        if not _add_tool(gathered, tool, tool, definition.path):
            raise HostViewError(
                f"host view '{definition.name}' needs the tool '{tool}', "
                f"which is not in {' or '.join(definition.path)}",
                hint="install it, or change the view in the configuration",
            )
    for tool in definition.optional:
        _add_tool(gathered, tool, None, definition.path)
    for pattern in definition.files:
        for path in gathered.host.matches(pattern):
            gathered.add_file(path)


def _add_trees(gathered: Gathered, pattern: str) -> bool:
    return any([gathered.add_tree(path) for path in gathered.host.matches(pattern)])  # noqa: C419 - all of them


def _add_part(gathered: Gathered, finder: PartFinder, part: Part, view: str) -> None:
    if part.required and not finder.is_there(part):
        raise HostViewError(
            f"host view '{view}' needs {part.owners[0]}, which is not there",
            hint=f"install {part.hint or 'what it belongs to'}, or change the view in the configuration",
        )
    found = finder.find(part)
    for place, what in found.items():
        gathered.add_part(place, what)
    for path in () if found else finder.otherwise(part):
        if not gathered.add_tree(path):
            gathered.add_file(path)


def _add_tool(gathered: Gathered, tool: str, need: str | None, path: Iterable[str]) -> bool:
    """Show a tool in every directory of the path that has it, as scripts name it by either."""
    found = [gathered.add_file(f"{directory}/{tool}", need) for directory in path]
    return any(found)


def _shown(gathered: Gathered, hashes: FileHashes) -> Iterable[Shown]:
    in_parts = {path for leaves in gathered.parts.values() for path in leaves}
    for path, text in gathered.links.items():
        if path not in in_parts:
            yield path, "link", text
    for path in gathered.files - in_parts:
        yield show_file(path, gathered.host, hashes)
    for path in gathered.trees:
        if path not in gathered.partial:
            yield show_tree(path, gathered.host, hashes)
    for place, leaves in gathered.parts.items():
        yield show_part(place, leaves, gathered.host, hashes)


def _hidden(host: Host, trees: Iterable[str]) -> list[str]:
    return sorted(path for path in host.hidden if any(path.startswith(tree + "/") for tree in trees))


class _What(NamedTuple):
    """What came of a resolution, as it is kept."""

    shown: Iterable[Shown]
    path: Iterable[str]
    bound: Iterable[str]
    links: Mapping[str, str]
    hidden: Iterable[str]
    seen: Iterable[Look]
    packages: Mapping[str, HostPackage]


def _resolved(name: str, what: _What, *, settled: bool) -> ResolvedView:
    items = sorted(what.shown)
    tools = {path: value for path, _, value in items}
    return ResolvedView(
        HostView(name, digest_shown(items), tools, tuple(what.path), what.packages),
        tuple(Bind(path, path) for path in what.bound),
        tuple(Link(path, text) for path, text in sorted(what.links.items())),
        tuple(what.hidden),
        tuple(what.seen),
        settled,
    )


def _parted(bound: AbstractSet[str], looks: Iterable[Look]) -> tuple[list[Look], list[Look]]:
    """Looks at what is bound and at what is in it; the others, by which it was found."""
    seen: list[Look] = []
    others: list[Look] = []
    for look in looks:
        parts = look[0].split("/")
        inside = any("/".join(parts[:count]) in bound for count in range(len(parts), 1, -1))
        (seen if inside else others).append(look)
    return seen, others


def _kept(state: Any, asked: Mapping[str, Any]) -> ResolvedView | None:
    """The last resolution, if the same was asked and every look still sees the same."""
    if not isinstance(state, dict) or state.get("format") != _FORMAT or state["asked"] != asked:
        return None
    seen = [(path, look, mark) for path, look, mark in state["seen"]]
    if any(changed(seen)) or any(changed(state["others"])):
        return None
    shown = [(path, kind, value) for path, kind, value in state["shown"]]
    packages = {
        name: HostPackage(version, tuple(paths)) for name, (version, paths) in state["packages"].items()
    }
    what = _What(shown, state["path"], state["bound"], state["links"], state["hidden"], seen, packages)
    return _resolved(asked["name"], what, settled=True)


def _as_kept(what: _What) -> dict[str, Any]:
    return {**what._asdict(), "packages": {name: astuple(each) for name, each in what.packages.items()}}


def _plain(definition: ViewDefinition) -> dict[str, Any]:
    """A definition as JSON gives it back, to be compared with what was kept."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(definition)))
    return plain
