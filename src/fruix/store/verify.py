"""Checking a whole store.

Is every valid path there, closed under references, and what it was when it was registered?

Looks and reports; changes nothing. Cost: one lstat per path, or with contents one read of the whole
store at SHA-256 speed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from fruix.errors import FruixError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.durability import is_whole
from fruix.store.objects.content_hashes import nar_hash
from fruix.store.queries import StoreQueries
from fruix.store.tree.descriptors import exists, lstat


class StoreUpkeep(StoreQueries):
    """Mixed into `LocalStore`, which opens the store directory: questions that its files answer."""

    _descriptor: int

    def is_there(self, path: StorePath) -> bool:
        """Whether a path is valid and nobody has deleted it by hand. A query and one lstat."""
        return self.is_valid(path) and self.has_files(path)

    def has_files(self, path: StorePath) -> bool:
        """Whether something lies at a path's name. One lstat."""
        return exists(self._descriptor, os.fsencode(path.base))

    def is_whole(self, path: StorePath) -> bool:
        """Whether a valid path's files are what they were when it was registered.

        Reads all of them.
        """
        info = self.path_info(path)
        return info is not None and is_whole(self._descriptor, info)

    def verify(self, *, contents: bool = False) -> list[str]:
        """Check the store; one line per problem, nothing is changed.

        Args:
            contents: read and hash every path too.
        """
        infos = self.database.registered_after(0)
        return [f"database: {trouble}" for trouble in self.database.integrity()] + [
            problem for info in infos for problem in _problems_of(info, self._descriptor, contents=contents)
        ]

    def damaged(self, *, contents: bool) -> list[StorePath]:
        """Valid paths whose files are gone or changed, in the order of registration.

        `contents`: also read and hash every path.
        """
        infos = self.database.registered_after(0)
        return [info.path for info in infos if any(_problems_of(info, self._descriptor, contents=contents))]


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
