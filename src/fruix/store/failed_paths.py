"""Builds that are known to fail.

Outputs in the table `FailedPaths`, noted if the operator wants failures to be remembered.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.database import Database


class Failures:
    """The remembered failures of one store. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StorePath]:
        """Every output of them, in order."""
        return self._database.paths(schema.FAILED)

    def among(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """Those of `paths` whose build is known to fail."""
        return [path for path in paths if self._database.paths(schema.IS_FAILED, str(path))]

    def note(self, paths: Iterable[StorePath]) -> None:
        """Remember outputs of a failed build; those that are known keep their time."""
        now = int(time.time())
        with self._database.writing() as connection:
            connection.executemany(schema.INSERT_FAILED, [(str(path), now) for path in paths])

    def clear(self, paths: Iterable[StorePath | str] | None) -> None:
        """Forget these outputs, or (None) all."""
        with self._database.writing() as connection:
            if paths is None:
                connection.execute(schema.DELETE_ALL_FAILED)
            else:
                connection.executemany(schema.DELETE_FAILED, [(str(path),) for path in paths])
