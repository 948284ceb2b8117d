"""How two host views differ: for people by packages and their versions, and file by file.

A package is named if its version changed and something of it that the view shows did. What changed
without that (a file that was edited, a link of `update-alternatives`, hosts without a known package
manager) is named by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from fruix.dataclass import dataclass
from fruix.late import late_pattern
from fruix.model.hostview import HostView

_HASH = late_pattern(r"[0-9a-f]{64}")
_HASH_SHOWN = 12  # digits
_NAMED = 3  # names in a sentence that have the same to say of them
_TOLD = 4  # such groups


@dataclass(frozen=True, slots=True)
class HostChange:
    """One thing of the host that is another now.

    Attributes:
        name: of a package, or of a file.
        old: its version, the beginning of its SHA-256, or where a link led; empty if that is not
            known; None: it was not there.
        new: the same afterwards; None: it is gone.
        program: whether it has programs, which are told first.
    """

    name: str
    old: str | None
    new: str | None
    program: bool = False


def difference(old: HostView, new: HostView) -> list[str]:
    """What is shown otherwise, a line each: changed things, missing ones, new ones."""
    changed = [
        f"changed {path}"
        for path in sorted(old.tools.keys() & new.tools.keys())
        if old.tools[path] != new.tools[path]
    ]
    missing = [f"missing {path}" for path in sorted(old.tools.keys() - new.tools.keys())]
    added = [f"new {path}" for path in sorted(new.tools.keys() - old.tools.keys())]
    return changed + missing + added


def changes(old: HostView, new: HostView) -> list[HostChange]:
    """What explains the difference, programs first; empty if only modes differ."""
    return _changes(old, new, *_packages(old, new))


def _changes(
    old: HostView, new: HostView, packages: list[HostChange], explained: set[str]
) -> list[HostChange]:
    files = [_file(path, old, new) for path in sorted(_differing(old, new) - explained)]
    found = dict.fromkeys((*packages, *files))
    return sorted(found, key=lambda change: not change.program)


def _differing(old: HostView, new: HostView) -> set[str]:
    every = old.tools.keys() | new.tools.keys()
    return {path for path in every if old.tools.get(path) != new.tools.get(path)}


def _packages(old: HostView, new: HostView) -> tuple[list[HostChange], set[str]]:
    """Packages of other versions, and what they explain.

    Of a view without any it is not known what it had.
    """
    differing = _differing(old, new)
    found: list[HostChange] = []
    explained: set[str] = set()
    if not old.packages or not new.packages:
        return found, explained
    for name in sorted(old.packages.keys() | new.packages.keys()):
        pair = old.packages.get(name), new.packages.get(name)
        before, after = (package.version if package else None for package in pair)
        paths = differing & {path for package in pair if package for path in package.paths}
        if paths and before != after:
            program = any(_is_program(path, old, new) for path in paths)
            found.append(HostChange(name, before, after, program))
            explained |= paths
    return found, explained


def _file(path: str, old: HostView, new: HostView) -> HostChange:
    """Of one that is new or gone its contents tell nothing."""
    before, after = old.tools.get(path), new.tools.get(path)
    values = (
        None if before is None else _shown(before) if after is not None else "",
        None if after is None else _shown(after) if before is not None else "",
    )
    return HostChange(path.rpartition("/")[2], *values, _is_program(path, old, new))


def _shown(value: str) -> str:
    return value[:_HASH_SHOWN] if _HASH.fullmatch(value) else value


def _is_program(path: str, *views: HostView) -> bool:
    return any(path.rpartition("/")[0] in view.path for view in views)


def in_words(old: HostView, new: HostView) -> tuple[str, list[str]]:
    """A difference as a sentence, and as a list.

    Returns:
        What `sentence` says, and a line for each package, then for each path, with a sign: `~`
            changed, `-` gone, `+` new.
    """
    packages, explained = _packages(old, new)
    rows = [line.split(" ", 1) for line in difference(old, new)]
    signs = {"changed": "~", "missing": "-", "new": "+"}
    files = [f"{signs[word]}{path}" for word, path in rows]
    return sentence(_changes(old, new, packages, explained)), [*map(_line, packages), *files]


def _line(change: HostChange) -> str:
    if change.old is None:
        return f"+{change.name} {change.new}"
    if change.new is None:
        return f"-{change.name} {change.old}"
    return f"~{change.name} {change.old} → {change.new}"


def sentence(found: Iterable[HostChange]) -> str:
    """`the host's cpp-12, g++-12, gcc-12 and 2 more changed 12.2.0-14 → 12.2.0-15; cmake 3.25.1-1 is new`."""
    groups: dict[tuple[str | None, str | None], list[str]] = {}
    for change in found:
        groups.setdefault((change.old, change.new), []).append(change.name)
    if not groups:
        return "the modes of the host's files changed"
    parts = [_said(names, *key) for key, names in groups.items()]
    more = sum(len(names) for names in list(groups.values())[_TOLD:])
    told = [*parts[:_TOLD], *([f"{more} more changed"] if more else [])]
    return f"the host's {'; '.join(told)}"


def _said(names: list[str], old: str | None, new: str | None) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - _NAMED} more" if len(unique) > _NAMED else ""
    who = f"{', '.join(unique[:_NAMED])}{more}"
    are = "are" if len(unique) > 1 else "is"
    if old is None:
        return f"{who} {f'{new} ' if new else ''}{are} new"
    if new is None:
        return f"{who} {f'{old} ' if old else ''}{are} gone"
    return f"{who} changed {old} → {new}" if old and new else f"{who} changed"
