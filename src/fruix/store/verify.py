"""Checking a whole store: is every valid path there, closed under references, and what it was when it was registered?

Looks and reports; changes nothing. Cost: one lstat per path, or with contents one read of the whole store at SHA-256 speed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from fruix.errors import FruixError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.database import Database
from fruix.store.objects.hashes import nar_hash
from fruix.store.tree.descriptors import lstat


def problems(database: Database, store: int, *, contents: bool) -> Iterator[str]:
    """One line per problem, in the order of registration."""
    for trouble in database.integrity():
        yield f"database: {trouble}"
    for info in database.registered_after(0):
        yield from _problems_of(info, store, contents=contents)


def damaged(database: Database, store: int, *, contents: bool) -> list[StorePath]:
    """The paths with problems, in that order."""
    infos = database.registered_after(0)
    return [info.path for info in infos if any(_problems_of(info, store, contents=contents))]


def _problems_of(info: PathInfo, store: int, *, contents: bool) -> Iterator[str]:
    name = os.fsencode(info.path.base)
    try:
        lstat(store, name)
        if not contents:
            return
        found, size = nar_hash(store, name)
    except FileNotFoundError:
        yield f"path '{info.path}' disappeared"
    except (OSError, FruixError) as error:
        yield f"path '{info.path}' can't be read: {error}"
    else:
        if found != info.nar_hash:
            yield (
                f"path '{info.path}' was modified! expected hash '{info.nar_hash.prefixed16}', "
                f"got '{found.prefixed16}'"
            )
        elif size != info.nar_size:
            yield f"path '{info.path}' has the archive size {size}, registered was {info.nar_size}"
