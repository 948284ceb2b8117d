"""Other contents for a path that is valid already.

That is a repair, or what is put back after somebody has deleted it by hand.

The row of such a path lies before the sync mark, so no start would look at its files, and between
the moment when they change and the moment when all is on disk they need not be what the row says.
So what they may be meanwhile is noted first, in `FruixReplacing`: the hash and size of before, and
those of afterwards. The next start compares the files with all of them and has the row say which it
is. Files that are neither are those of before, which were damaged already: they stay registered, as
everything that refers to them does, until somebody repairs them. What the new contents refer to is
in the row from the note on: whichever they are, nothing that they need is collected.

Where names can't be exchanged the old files go by one rename and the new ones come by another. A
start that finds nothing looks for the new ones under their private name in the store directory.

Cost: two transactions and two fsyncs of the database's log for each replacement, and a sync of all
that was registered before it since the mark.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from fruix.errors import FruixError
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.database import Database
from fruix.store.durability import Syncer
from fruix.store.leftovers import NEAR
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
        self._syncer.wait()  # a reference that a power cut takes would take the path with it
        with self._database.writing() as connection:
            for known in (before, info):
                if known is not None:
                    row = (str(known.path), known.nar_hash.prefixed16, known.nar_size)
                    connection.execute(schema.INSERT_REPLACING, row)
            named = ((str(info.path), str(reference)) for reference in info.references)
            connection.executemany(schema.ADD_REFERENCE, named)
        self._database.sync_log()
        yield  # the files are on disk before they have the path's name
        self._database.sync_log()
        _forget(self._database, info.path)


def settle(database: Database, store: int) -> None:
    """After an unclean stop: have the rows say what lies there.

    Nobody else has the store open. Reads the files of each path that was just being replaced.
    """
    for path in sorted(set(database.paths(schema.REPLACING_PATHS))):
        if database.is_valid(path):
            _settle(database, store, path)
        _forget(database, path)


def _settle(database: Database, store: int, path: StorePath) -> None:
    known, name = database.replacing(path), os.fsencode(path.base)
    contents = _contents(store, name)
    if contents is None and (near := _near_with(store, known)) is not None:
        os.rename(near, name, src_dir_fd=store, dst_dir_fd=store)
        os.fsync(store)
        contents = _contents(store, name)
    if contents is None or contents not in known:
        return
    found, size = contents
    with database.writing() as connection:
        connection.execute(schema.UPDATE_CONTENTS, (found.prefixed16, size, str(path)))


def _near_with(store: int, known: Collection[tuple[Hash, int]]) -> bytes | None:
    """The private name of an object that was on its way, with one of those contents."""
    names = map(os.fsencode, os.listdir(store))
    return next((name for name in names if NEAR.fullmatch(name) and _contents(store, name) in known), None)


def _contents(store: int, name: bytes) -> tuple[Hash, int] | None:
    """Hash and size of what lies there, as an archive; None if nothing does, or no store object."""
    try:
        return nar_hash(store, name)
    except (OSError, FruixError):
        return None


def _forget(database: Database, path: StorePath) -> None:
    with database.writing() as connection:
        connection.execute(schema.DELETE_REPLACING, (str(path),))
