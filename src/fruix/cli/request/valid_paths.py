"""Words that name what is valid in the store: paths, files below them, links to them, names of packages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fruix.cli.request.targets import built, lowering
from fruix.errors import InvalidPathError, UsageError
from fruix.model.storepath import StorePath, in_store

if TYPE_CHECKING:
    from fruix.client import RemoteStore


def valid(store: RemoteStore, text: str) -> tuple[StorePath, str]:
    """The store path in a user's words, and the rest below it. Links into the store are followed.

    Raises:
        UsageError: not in the store.
        InvalidPathError: in the store, but not registered.
    """
    if "/" not in text and not os.path.realpath(text).startswith(store.directory + "/"):
        return _named(store, text), ""
    absolute = os.path.abspath(text)
    if not absolute.startswith(store.directory + "/"):
        absolute = os.path.realpath(text)
    if not absolute.startswith(store.directory + "/"):
        raise UsageError(f"'{text}' is not in the store", hint=f"store paths begin with {store.directory}/")
    path, rest = in_store(absolute, store.directory)
    if not store.is_valid(path):
        raise InvalidPathError(str(path), hint="nothing of that name is registered in the store")
    return path, rest


def _named(store: RemoteStore, word: str) -> StorePath:
    """The first output of what a name stands for: `out`, if it has one.

    Raises:
        UsageError: it is not built, or nothing has that name.
    """
    paths = built(store, lowering(store), word)
    return min(paths, key=lambda path: len(path.name))
