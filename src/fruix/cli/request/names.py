"""What a name stands for: a package, else what was built here under that name.

What was built is known by its log, which every build leaves, also one that failed, whoever asked
for it and from whatever file. Looking for a name costs a listing of the logs' directories.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from fruix.building.record.log_reading import bare_name
from fruix.cli.request.connect import log_directory
from fruix.client import RemoteStore
from fruix.errors import BadStorePathError
from fruix.model.storepath import StorePath, package_of
from fruix.packages.load import UnknownPackageError, find
from fruix.packages.lower import Lowering
from fruix.packages.package import Package


def named(store: RemoteStore, word: str) -> Package | StorePath:
    """The package, or the derivation that was built last of that name.

    Raises:
        UnknownPackageError: there is neither.
        DefinitionError: the package's file is wrong.
    """
    try:
        return find(word)
    except UnknownPackageError as error:
        drv = built_last(store, word)
        if drv is None:
            error.hint = "; ".join(filter(None, [error.hint, "nothing of that name was built here"]))
            raise
        return drv


def built_last(store: RemoteStore, word: str) -> StorePath | None:
    """The derivation with the latest log among those of that name, with or without version.

    One that is still in the store goes before those that aren't.
    """
    found = sorted(_logs_of(word.replace("@", "-", 1), store.directory), reverse=True)
    paths = [path for _, path in found]
    return next(filter(store.is_valid, paths), paths[0] if paths else None)


def _logs_of(name: str, store: str) -> Iterator[tuple[float, StorePath]]:
    """For each log of a build of that name: its time, and its derivation in `store`."""
    for directory in _entries(log_directory()):
        for entry in _entries(directory.path):
            if not (drv := bare_name(entry.name)).endswith(".drv"):
                continue
            with contextlib.suppress(BadStorePathError, FileNotFoundError):
                path = StorePath.of(store, directory.name + drv)
                full = path.short_name
                if name in {full, package_of(full)}:
                    yield entry.stat(follow_symlinks=False).st_mtime, path


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def shortest_word(store: RemoteStore, work: Lowering, drv: StorePath) -> str:
    """The name by which commands find that derivation, if they do; else its path."""
    name = drv.short_name
    try:
        found = named(store, name)
        meant = work.lowered(found).drv if isinstance(found, Package) else found
    except Exception:  # noqa: BLE001 - a definition can fail in any way, and this is for an error's hint
        return str(drv)
    return name if meant == drv else str(drv)
