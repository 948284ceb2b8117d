"""Other contents for a path that is valid already.

That is a repair, or what is put back after somebody has deleted it by hand.

The row of such a path lies before the sync mark, so no start would look at its files, and between
the moment when they change and the moment when all is on disk they need not be what the row says.
So what they may be meanwhile is noted first, in `FruixReplacing`: the hash and size of before, and
those of afterwards. The next start compares the files with all of them and has the row say which it
is; files that are neither count as damaged.

Cost: two transactions and two fsyncs of the database's log for each replacement.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fruix.errors import FruixError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.database import Database
from fruix.store.durability import Syncer
from fruix.store.objects.content_hashes import nar_hash


class Replacements:
    """Replacements of contents in one store. Thread-safe; the caller holds the path's lock."""

    def __init__(self, database: Database, syncer: Syncer) -> None:
        self._database = database
        self._syncer = syncer

    @contextmanager
    def replacing(self, info: PathInfo) -> Iterator[None]:
        """Around the change of a valid path's files and its registration with what `info` says.

        On the way out everything is on disk. After an error the note stays for the next start.

        Raises:
            StoreError: it could not be written.
        """
        before = self._database.info(info.path)
        with self._database.writing() as connection:
            for known in (before, info):
                if known is not None:
                    row = (str(known.path), known.nar_hash.prefixed16, known.nar_size)
                    connection.execute(schema.INSERT_REPLACING, row)
        self._database.sync_log()
        yield
        self._syncer.wait_for_files(info)
        _forget(self._database, info.path)


def settle(database: Database, store: int) -> list[StorePath]:
    """After an unclean stop: have the rows say what lies there.

    Nobody else has the store open. Reads the files of each path that was just being replaced.

    Returns:
        The paths whose files are none of what they may be. They are still noted.
    """
    damaged = []
    for path in sorted(set(database.paths(schema.REPLACING_PATHS))):
        if _settle(database, store, path):
            _forget(database, path)
        else:
            damaged.append(path)
    return damaged


def _settle(database: Database, store: int, path: StorePath) -> bool:
    if not database.is_valid(path):
        return True
    try:
        found, size = nar_hash(store, os.fsencode(path.base))
    except (OSError, FruixError):
        return False
    if (found, size) not in database.replacing(path):
        return False
    with database.writing() as connection:
        connection.execute(schema.UPDATE_CONTENTS, (found.prefixed16, size, str(path)))
    return True


def _forget(database: Database, path: StorePath) -> None:
    with database.writing() as connection:
        connection.execute(schema.DELETE_REPLACING, (str(path),))
