"""Paths of this machine that the operator shows to builders (setting `sandbox-paths`), as in Nix."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fruix import sandbox
from fruix.errors import SandboxError
from fruix.model.text import printable

if TYPE_CHECKING:
    from fruix.sandbox import Bind

# What a build has for itself.
_OWN = ("/dev", "/proc", "/etc")


def check_entry(text: str) -> str:
    """One `TARGET[=SOURCE][?]`, both absolute and in normal form.

    Raises:
        ValueError: it is none.
    """
    for name in text.removesuffix("?").split("=", 1):
        if not name.startswith("/") or name == "/" or os.path.normpath(name) != name:
            raise ValueError(f"'{printable(name)}' is not an absolute file name in normal form")
    return text


def sandbox_paths(entries: Iterable[str], areas: Iterable[tuple[str, str]]) -> tuple[Bind, ...]:
    """Read-only views of files and directories.

    Args:
        entries: `TARGET[=SOURCE][?]`; with the mark, only where it is there.
        areas: the build's own directories, the second of each as it sees it.

    Raises:
        SandboxError: a source is missing, or its place is taken.
    """
    taken = (*_OWN, *(inside for _, inside in areas))
    return tuple(_bound(entries, taken))


def _bound(entries: Iterable[str], taken: Iterable[str]) -> Iterator[Bind]:
    for entry in entries:
        target, _, other = entry.removesuffix("?").partition("=")
        source = other or target
        if os.path.lexists(source):
            if any(f"{inside}/".startswith(f"{target}/") for inside in taken):
                raise SandboxError("show", 0, f"'{target}' is the build's own", hint=_HINT)
            yield sandbox.Bind(source, target)
        elif not entry.endswith("?"):
            raise SandboxError("show", 0, f"'{source}' doesn't exist", hint=_HINT)


_HINT = (
    "the daemon's settings 'sandbox-paths' and 'pre-build-hook' say what is shown; 'PATH?': if it is there"
)
