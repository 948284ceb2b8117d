"""The questions that the database alone answers: the half of `LocalStore` that reads no file of the store.

Each is one query; see `fruix.store.interface.Store` for what they mean and raise, and `fruix.store.database` for their costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fruix.errors import InvalidPathError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath, check_hash_part
from fruix.store.database import Database


class StoreQueries:
    """Mixed into `LocalStore`, which opens the database."""

    database: Database

    def is_valid(self, path: StorePath) -> bool:
        """See `Store.is_valid`."""
        return self.database.is_valid(path)

    def valid_paths(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """See `Store.valid_paths`."""
        return self.database.valid_of(paths)

    def path_info(self, path: StorePath) -> PathInfo | None:
        """See `Store.path_info`."""
        return self.database.info(path)

    def references(self, path: StorePath) -> list[StorePath]:
        """See `Store.references`."""
        found = self.database.references(path)
        if not found:
            self._require(path)
        return found

    def referrers(self, path: StorePath) -> list[StorePath]:
        """See `Store.referrers`."""
        return self.database.referrers(path)

    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """See `Store.closure`."""
        roots = set(paths)
        found = self.database.closure(roots)
        if missing := sorted(roots - found):
            raise InvalidPathError(str(missing[0]))
        return found

    def valid_derivers(self, path: StorePath) -> list[StorePath]:
        """See `Store.valid_derivers`."""
        return self.database.derivers(path)

    def from_hash_part(self, text: str) -> StorePath | None:
        """See `Store.from_hash_part`."""
        check_hash_part(text)
        return self.database.by_hash_part(text)

    def all_valid_paths(self) -> list[StorePath]:
        """See `Store.all_valid_paths`."""
        return self.database.all_paths()

    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        """See `Store.derivation_outputs`."""
        found = self.database.outputs(drv)
        if not found:
            self._require(drv)
        return found

    def _require(self, path: StorePath) -> None:
        if not self.is_valid(path):
            raise InvalidPathError(str(path))
