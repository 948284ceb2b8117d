"""What a build asks of the store for its outputs.

The part of `LocalStore` about objects that are not registered.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fruix.dataclass import replace
from fruix.errors import StoreError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import leftovers, outputs
from fruix.store.locks import PathLocks
from fruix.store.objects.add import Adding
from fruix.store.objects.staging import Staging
from fruix.store.queries import StoreQueries
from fruix.store.tree.descriptors import exists

if TYPE_CHECKING:
    from fruix.store.outputs.canonical import Links
    from fruix.store.outputs.import_tree import OutputPolicy
    from fruix.store.outputs.staged import Staged


class StoredOutputs(StoreQueries):
    """Mixed into `LocalStore`, which opens the directories."""

    _descriptor: int
    _locks: int
    _staging: Staging
    _adding: Adding

    def _path_locks(self) -> PathLocks:
        return PathLocks(self._locks)

    def stage_output(self, source: str, path: StorePath, policy: OutputPolicy) -> Staged:
        """Take a finished build's output out of the build's area.

        What is returned needs its final name.

        The caller holds the lock of `path`, and everything of the build is dead and unmounted.

        Args:
            source: absolute host name of the output; no parent may be a symlink.
            path: its store path.
            policy: how it is taken, and what it must be.

        Returns:
            It, with its info: hash, size, references; neither deriver nor signatures.

        Raises:
            FileNotFoundError: there is no output.
            ObjectRejectedError: what is there can't be a store object.
            HashMismatchError: not what `expected` says.
        """
        return outputs.staged.stage_output(self._staging, source, path, policy, valid=self.is_valid(path))

    def copy_object(self, path: StorePath, to: int) -> None:
        """Copy a valid path's files under its own name into an open directory that only we can enter."""
        name = os.fsencode(path.base)
        from fruix.store.tree.copy import copy_tree  # noqa: PLC0415 - seldom needed

        copy_tree(self._descriptor, name, to, name, where=path.base)

    def publish(self, place: bytes, path: StorePath) -> None:
        """Give what lies at a place of the staging directory its final name, which the caller has locked."""
        self._staging.publish(place, path.base)

    def name_by_contents(self, found: Mapping[StorePath, tuple[Staged, str]]) -> dict[StorePath, Staged]:
        """Outputs under the names that their contents give, by their scratch paths; see `addressed`.

        If that fails all of them are dropped.
        """
        named: dict[StorePath, Staged] = {}
        try:
            for scratch, output in outputs.addressed.name_by_contents(found, {}):
                named[scratch] = replace(output, valid=self.is_valid(output.info.path))
        except BaseException:
            for scratch, (output, _) in found.items():
                named.get(scratch, output).drop()
            raise
        return named

    def stage_nar(self, info: PathInfo, chunks: Iterable[bytes]) -> Staged:
        """Take an output that was built elsewhere.

        Args:
            info: what it is, whose path the caller has locked.
            chunks: its archive.

        Raises:
            ImportMismatchError: it isn't what is said of it.
            BadNarError: not a canonical archive.
        """
        with self._staging.place() as place:
            self._adding.restore(place, info, chunks)
        return outputs.staged.Staged(info, place, self._staging, self.is_valid(info.path))

    def keep_result(self, staged: Staged, suffix: str) -> str:
        """Keep an output in the store, unregistered, for people to look at.

        Args:
            staged: the output.
            suffix: of its name; without one it gets its own name, which the caller has locked, and
                nothing valid has.

        Returns:
            Where it is: its path with `suffix`; "" if it wasn't kept, as a valid object has that
                name, or is just being made.
        """
        name = staged.info.path.base + suffix
        with self._path_locks() as locks:
            if suffix and self._is_taken(name, locks):
                return ""
            self.database.keep(name)
            staged.keep(name)
        return f"{self.database.directory}/{name}"

    def remove_result(self, path: StorePath, suffix: str) -> None:
        """Remove what `keep_result` kept of an output before; a valid object of that name stays."""
        name = path.base + suffix
        with self._path_locks() as locks:
            if not self._is_taken(name, locks):
                self._staging.remove(name)
                self.database.unkeep(name)

    def _is_taken(self, name: str, locks: PathLocks) -> bool:
        """Whether a valid object has this name, or is just being made; else the name is locked.

        A name too long for an object is free.
        """
        path = leftovers.as_object(self.database.directory, name)
        return path is not None and (not locks.acquire([path], wait=False) or self.is_valid(path))

    def count_links(self, sources: Iterable[str], most: int = 0, most_bytes: int = 0) -> Links:
        """Count what is in all outputs of a build, before the first is taken.

        See `taking.count_links`.
        """
        return outputs.staged.count_links(sources, most, most_bytes)

    def delete_unregistered(self, path: StorePath) -> None:
        """Delete the files at a path that is not valid; nothing there is fine.

        The caller holds its lock.

        Raises:
            StoreError: the path is valid.
        """
        if not exists(self._descriptor, path.base):
            return  # as mostly
        if self.is_valid(path):
            raise StoreError("refusing to delete a valid path", where=str(path))
        self._staging.remove(path.base)
