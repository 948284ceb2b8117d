"""The questions that the database alone answers.

The half of `LocalStore` that reads no file of the store.

Each is one query; see `fruix.store.interface.Store` for what they mean and raise, and
`fruix.store.database` for their costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fruix.errors import InvalidPathError
from fruix.model.pathinfo import PathInfo, references_first
from fruix.model.storepath import StorePath, check_hash_part
from fruix.overriding import override
from fruix.store.database import Database
from fruix.store.interface import Store
from fruix.store.memory import charge

# Bytes that what is known of a path takes, with some references.
_INFO = 2000


class StoreQueries(Store):
    """Mixed into `LocalStore`, which opens the database."""

    database: Database

    @override
    def is_valid(self, path: StorePath) -> bool:
        return self.database.is_valid(path)

    @override
    def valid_paths(self, paths: Iterable[StorePath]) -> set[StorePath]:
        return self.database.valid_of(paths)

    @override
    def path_info(self, path: StorePath) -> PathInfo | None:
        return self.database.info(path)

    @override
    def references(self, path: StorePath) -> list[StorePath]:
        found = self.database.references(path)
        if not found:
            self._require(path)
        return found

    @override
    def referrers(self, path: StorePath) -> list[StorePath]:
        return self.database.referrers(path)

    @override
    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        roots = set(paths)
        found = self.database.closure(roots)
        if missing := sorted(roots - found):
            raise InvalidPathError(str(missing[0]))
        return found

    @override
    def closure_infos(self, paths: Iterable[StorePath]) -> list[PathInfo]:
        roots = set(paths)
        infos = {info.path: info for info in self.database.closure_infos(roots)}
        charge(_INFO * len(infos))
        if missing := sorted(roots - infos.keys()):
            raise InvalidPathError(str(missing[0]))
        return references_first(infos)

    @override
    def valid_derivers(self, path: StorePath) -> list[StorePath]:
        return self.database.derivers(path)

    @override
    def from_hash_part(self, text: str) -> StorePath | None:
        check_hash_part(text)
        return self.database.by_hash_part(text)

    @override
    def all_valid_paths(self) -> list[StorePath]:
        return self.database.all_paths()

    @override
    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        found = self.database.outputs(drv)
        if not found:
            self._require(drv)
        return found

    def _require(self, path: StorePath) -> None:
        if not self.is_valid(path):
            raise InvalidPathError(str(path))
