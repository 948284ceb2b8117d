"""What a word stands for: a target to build, a derivation, paths of the store.

A word is a store path, the name of a package, or where a command takes that too the name of what
was built here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.late import late_pattern
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath, in_store
from fruix.this_machine import local_system

if TYPE_CHECKING:
    from fruix.client import RemoteStore
    from fruix.model.hostview import HostView
    from fruix.packages.lower import Lowered, Lowering
    from fruix.packages.package import Package

_SYSTEM = late_pattern(r"[A-Za-z0-9_]+-[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to build; `lowered` if it came from a package definition."""

    request: DerivedPath
    lowered: Lowered | None = None
    package: Package | None = None


def lowering(store: RemoteStore, system: str = "") -> Lowering:
    """A lowering for a system, by default this machine's.

    Views are asked of the daemon, since it will check them; those of other systems' machines it
    can't tell.
    """
    if system in {"", local_system()}:
        return cast("Lowering", _LateLowering(store, local_system(), store.host_view))
    if not _SYSTEM.fullmatch(system):
        raise UsageError(f"'{system}' is no system", hint="such as aarch64-linux or x86_64-freebsd")
    return cast("Lowering", _LateLowering(store, system, partial(_no_view, system)))


class _LateLowering:
    """Stands for a `Lowering`, which is made when the first package is lowered.

    Who names paths alone waits for no definitions: to load what reads them takes as long as an
    interpreter's start.
    """

    def __init__(self, store: RemoteStore, system: str, host_view: Callable[[str], HostView]) -> None:
        self._given = store, system, host_view

    @cached_property
    def _made(self) -> Lowering:
        from fruix.packages.lower import Lowering, LoweringContext  # noqa: PLC0415 - see above

        store, system, host_view = self._given
        check = partial(store.require_own, "can't put roots together")
        return Lowering(store, LoweringContext(system, host_view, check))

    def __getattr__(self, name: str) -> Any:
        if name in _NOTHING_LOWERED and "_made" not in vars(self):
            return _NOTHING_LOWERED[name]
        return getattr(self._made, name)


_NOTHING_LOWERED: Mapping[str, Any] = {"of_definitions_alone": True, "origins": {}, "sources": {}}


def _no_view(system: str, name: str) -> NoReturn:
    raise UsageError(
        f"the host view '{name}' of a machine of {system} can't be told here",
        hint="name a root that is for it (root=, docs/roots.md), or build on such a machine",
    )


def package_target(work: Lowering, package: Package) -> Target:
    """Lower a package; all its outputs are wanted."""
    lowered = work.lowered(package)
    return Target(DerivedPath(lowered.drv, ALL), lowered, package)


def path_target(store: RemoteStore, text: str) -> Target:
    """A derivation (all outputs, or `DRV!out,lib`), or any other store path."""
    if "!" not in text:
        path = StorePath.parse(os.path.realpath(text), store.directory)
        return Target(DerivedPath(path, ALL if path.is_derivation else None))
    return Target(DerivedPath.parse_nix(text, store.directory))


def is_store_path(store: RemoteStore, text: str) -> bool:
    """Whether a word on the command line is a path and no package name."""
    return "/" in text or text.startswith(store.directory)


def package_or_path(store: RemoteStore, work: Lowering, word: str) -> Target:
    """The target of a package by its name, or of a store path."""
    if is_store_path(store, word):
        return path_target(store, word)
    from fruix.packages.load import find  # noqa: PLC0415 - for names alone

    return package_target(work, find(word))


def anything_known(store: RemoteStore, work: Lowering, word: str) -> Target:
    """The target of a package or store path, else of what was built last under that name."""
    if is_store_path(store, word):
        return path_target(store, word)
    from fruix.cli.request.names import named  # noqa: PLC0415 - for names alone

    found = named(store, word)
    return Target(DerivedPath(found, ALL)) if isinstance(found, StorePath) else package_target(work, found)


def derivation_for(store: RemoteStore, text: str) -> StorePath:
    """The derivation behind a word.

    That is the path itself, the deriver of an output, a package's, or what was built last under a
    name.

    Raises:
        UsageError: it has none.
    """
    if not is_store_path(store, text):
        return anything_known(store, lowering(store), text).request.path
    path, _ = in_store(os.path.realpath(text.partition("!")[0]), store.directory)
    if path.is_derivation:
        return path
    info = store.path_info(path)
    derivers = [info.deriver] if info and info.deriver else store.valid_derivers(path)
    if not derivers:
        raise UsageError(
            f"'{path}' was not made by a derivation that is known here", hint="give the derivation itself"
        )
    return derivers[0]


def outputs_of(store: RemoteStore, request: DerivedPath) -> dict[str, StorePath]:
    """The outputs of a request by name; of a path, itself under the empty name. Valid or not."""
    if request.outputs is None:
        return {"": request.path}
    found = store.derivation_outputs(request.path)
    return {name: found[name] for name in sorted(found) if "*" in request.outputs or name in request.outputs}


def outputs(store: RemoteStore, work: Lowering, word: str) -> list[StorePath]:
    """The paths that a word stands for, valid or not: outputs, or the store path itself."""
    return list(outputs_of(store, anything_known(store, work, word).request).values())


def built(store: RemoteStore, work: Lowering, word: str) -> list[StorePath]:
    """The paths that a word stands for, all of them valid.

    Raises:
        UsageError: one is not.
    """
    target = anything_known(store, work, word)
    paths = list(outputs_of(store, target.request).values())
    for path in paths:
        if not store.is_valid(path):
            what = word if target.package else target.request.path
            raise UsageError(f"'{path}' is not built", where=word, hint=f"fruix build {what}")
    return paths
