"""A host view as a value: its name, the fingerprint of all that it shows, and what it shows.

Resolving one on a machine is the sandbox's affair (`fruix.sandbox.views`); derivations carry name and fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Variables by which a derivation asks for a view and a build contract.
VIEW_VARIABLE = "fruixHostView"
VIEW_HASH_VARIABLE = "fruixHostViewHash"
CONTRACT_VARIABLE = "fruixContract"
# The file that builders of packages read first, for shells that look around in their sandboxes.
SET_UP_VARIABLE = "setUp"


@dataclass(frozen=True, slots=True)
class HostView:
    """What a view shows.

    Attributes:
        fingerprint: 64 hex digits over everything shown.
        tools: path as seen inside → SHA-256 (hex) or link text.
        path: directories of programs, in the order in which they are to be searched.
    """

    name: str
    fingerprint: str
    tools: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ("/usr/bin", "/bin")


def difference(old: HostView, new: HostView) -> list[str]:
    """What changed from one fingerprint to the other, a line each: changed things, missing ones, new ones."""
    changed = [
        f"changed {path}"
        for path in sorted(old.tools.keys() & new.tools.keys())
        if old.tools[path] != new.tools[path]
    ]
    missing = [f"missing {path}" for path in sorted(old.tools.keys() - new.tools.keys())]
    added = [f"new {path}" for path in sorted(new.tools.keys() - old.tools.keys())]
    return changed + missing + added


_NAMED = 3  # how many files a sentence names
_SAID = {"changed": "changed", "missing": "is gone", "new": "is new"}


def in_words(old: HostView, new: HostView) -> tuple[str, list[str]]:
    """A difference as a sentence that names programs first, and as a list.

    Returns:
        `the host's gcc-12, ld.bfd and 5 more changed; cmake is new`, and the lines of `difference` with a sign each.
    """
    rows = [line.split(" ", 1) for line in difference(old, new)]
    parts = []
    for verb, said in _SAID.items():
        paths = sorted(
            (path for word, path in rows if word == verb), key=lambda path: not _is_program(path, old, new)
        )
        if paths:
            names = list(dict.fromkeys(path.rpartition("/")[2] for path in paths))
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            plural = said.replace("is ", "are ") if len(names) > 1 else said
            parts.append(f"{', '.join(names[:_NAMED])}{more} {plural}")
    signs = {"changed": "~", "missing": "-", "new": "+"}
    return f"the host's {'; '.join(parts)}", [f"{signs[word]}{path}" for word, path in rows]


def _is_program(path: str, *views: HostView) -> bool:
    return any(path.rpartition("/")[0] in view.path for view in views)
