"""What a word of `why`, `size` and `graph` stands for in the store."""

from __future__ import annotations

from fruix.cli.request.resolve import is_store_path, package_target, path_target
from fruix.client import RemoteStore
from fruix.errors import UsageError
from fruix.model.storepath import StorePath
from fruix.packages.load import find
from fruix.packages.lower import Lowering


def outputs(store: RemoteStore, work: Lowering, word: str) -> list[StorePath]:
    """A package's or derivation's outputs, or the store path itself; whether valid or not."""
    target = path_target(store, word) if is_store_path(store, word) else package_target(work, find(word))
    if target.request.outputs is None:
        return [target.request.path]
    found = store.derivation_outputs(target.request.path)
    return [found[name] for name in sorted(found) if {"*", name} & set(target.request.outputs)]


def built(store: RemoteStore, work: Lowering, word: str) -> list[StorePath]:
    """The same, all of them valid.

    Raises:
        UsageError: one is not.
    """
    paths = outputs(store, work, word)
    for path in paths:
        if not store.is_valid(path):
            raise UsageError(f"'{path}' is not built", where=word, hint=f"fruix build {word}")
    return paths
