"""What a word of `why`, `size` and `graph` stands for in the store."""

from __future__ import annotations

from fruix.cli.request.names import named
from fruix.cli.request.resolve import Target, is_store_path, package_target, path_target
from fruix.client import RemoteStore
from fruix.errors import UsageError
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.packages.lower import Lowering
from fruix.packages.package import Package


def outputs(store: RemoteStore, work: Lowering, word: str) -> list[StorePath]:
    """A package's or derivation's outputs, or those of what was built last of a name, or the store path itself; whether valid or not."""
    return _outputs(store, _target(store, work, word))


def _outputs(store: RemoteStore, target: Target) -> list[StorePath]:
    if target.request.outputs is None:
        return [target.request.path]
    found = store.derivation_outputs(target.request.path)
    return [found[name] for name in sorted(found) if {"*", name} & set(target.request.outputs)]


def _target(store: RemoteStore, work: Lowering, word: str) -> Target:
    if is_store_path(store, word):
        return path_target(store, word)
    found = named(store, word)
    return package_target(work, found) if isinstance(found, Package) else Target(DerivedPath(found, ALL))


def built(store: RemoteStore, work: Lowering, word: str) -> list[StorePath]:
    """The same, all of them valid.

    Raises:
        UsageError: one is not.
    """
    target = _target(store, work, word)
    paths = _outputs(store, target)
    for path in paths:
        if not store.is_valid(path):
            what = word if target.package else target.request.path
            raise UsageError(f"'{path}' is not built", where=word, hint=f"fruix build {what}")
    return paths
