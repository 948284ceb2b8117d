"""From what people write on the command line to what the store is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from fruix.building.builders.platforms import local_system
from fruix.cli.request.names import named
from fruix.client import RemoteStore
from fruix.errors import UsageError
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath, in_store
from fruix.packages.load import find
from fruix.packages.lower import Lowered, Lowering, LoweringContext
from fruix.packages.package import Package


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to build; `lowered` if it came from a package definition."""

    request: DerivedPath
    lowered: Lowered | None = None
    package: Package | None = None


def lowering(store: RemoteStore) -> Lowering:
    """A lowering for this machine: views are asked of the daemon, since it will check them."""
    context = LoweringContext(local_system(), store.host_view)
    return Lowering(store, context)


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


def named_targets(store: RemoteStore, work: Lowering, words: Sequence[str]) -> list[Target]:
    """Names of packages, and store paths."""
    return [
        path_target(store, word) if is_store_path(store, word) else package_target(work, find(word))
        for word in words
    ]


def derivation_for(store: RemoteStore, text: str) -> StorePath:
    """The derivation behind a word: itself, the deriver of an output, a package's, or the one that was built last of a name.

    Raises:
        UsageError: it has none.
    """
    if not is_store_path(store, text):
        found = named(store, text)
        return lowering(store).lowered(found).drv if isinstance(found, Package) else found
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
