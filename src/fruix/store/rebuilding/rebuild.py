"""A new database in the place of one that is damaged or lost.

Nobody else may have the store open. The new database is made beside the old one, and complete and
on disk before that is touched; the old one is then renamed, with its log, and kept. Killed at any
point before, nothing has changed; killed while the names change, the store belongs to no database,
which the next start says (`claim`), and a second run mends.

What can't be known: registration times (all are now), signatures, which paths were built here
(`ultimate`), and of an object that several derivations make which of them did. Whole reads of the
store: one, and of plain files one more.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from urllib.parse import quote

from fruix.atomic_file import sync_path
from fruix.dataclass import dataclass
from fruix.errors import StoreError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import flags, schema
from fruix.store.database import Database
from fruix.store.derivation_cache import DerivationCache, read_file
from fruix.store.guix_database import kept_name
from fruix.store.layout import Layout
from fruix.store.leftovers import as_object
from fruix.store.objects.content_hashes import check_address
from fruix.store.owner import StoreLock
from fruix.store.rebuilding.inference import Inference
from fruix.store.rebuilding.seen import Seen, Unreadable, see
from fruix.store.registration import Registrar
from fruix.store.room import NO_LIMITS
from fruix.store.tree.descriptors import open_chain

_SUFFIXES = ("", "-wal", "-shm")
_Failed = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was done.

    Attributes:
        registered: how many paths are valid now.
        left_out: objects that could not be registered, with the reason.
        kept: where the old database is; empty if there was none.
    """

    registered: int
    left_out: dict[StorePath, str]
    kept: str


@dataclass(frozen=True, slots=True)
class _Carried:
    """What of the old database can still be read and isn't told by the store's objects."""

    kept: tuple[str, ...] = ()
    failed: tuple[_Failed, ...] = ()


def rebuild(layout: Layout) -> Rebuilt:
    """Make the database anew from what lies in the store.

    Raises:
        StoreError: somebody else has the store open.
        FruixError: what was found can't be registered; nothing was changed.
    """
    with ExitStack() as opened:
        layout.create()
        lock = StoreLock(layout.store, layout.state, os.path.dirname(layout.database))
        opened.callback(lock.close)
        if not lock.alone:
            raise StoreError(
                f"somebody works on the store ({lock.read().process or 'unknown process'})",
                where=layout.store,
                hint="stop the daemon first",
            )
        store = open_chain(layout.store)
        opened.callback(os.close, store)
        carried = _carried(layout.database)
        found, left_out = _look(store, layout.store, carried.kept)
        new = f"{layout.database}.new"
        _remove(new)
        identity, newest = _write(Database(new, layout.store), store, found, carried)
        kept = _swap(layout.database, new)
        lock.write(identity, newest)
        return Rebuilt(len(found), left_out, kept)


def _look(store: int, directory: str, spared: tuple[str, ...]) -> tuple[list[PathInfo], dict[StorePath, str]]:
    """Read all objects; returns what is to be registered and what can't be."""
    names = sorted(set(os.listdir(store)) - set(spared))
    paths = [path for name in names if (path := as_object(directory, name)) is not None]
    looked = list(see(store, paths))
    parsed = DerivationCache()

    def read(path: StorePath) -> bytes:
        return read_file(store, path, NO_LIMITS.max_derivation)

    inference = Inference(
        {one.path: one for one in looked if isinstance(one, Seen)},
        lambda path: parsed.get(path, read),
        lambda info: check_address(store, os.fsencode(info.path.base), info),
        {one.path: one.why for one in looked if isinstance(one, Unreadable)},
    )
    return inference.infos(), inference.left_out


def _write(database: Database, store: int, infos: list[PathInfo], carried: _Carried) -> tuple[str, int]:
    """Fill a new database, and have all on disk; returns its identity and newest row."""
    database.open()
    try:
        registrar = Registrar(
            database, lambda path: read_file(store, path, NO_LIMITS.max_derivation), DerivationCache()
        )
        registrar.register(infos, addressed=True)
        with database.writing() as connection:
            connection.executemany(schema.INSERT_FAILED, carried.failed)
            connection.executemany(schema.INSERT_KEPT, [(name,) for name in carried.kept])
        if flags.sync_file_system(store):  # elsewhere the next start reads all once more
            database.set_mark(database.last_id())
        found = database.identity, database.newest()
    finally:
        database.close()  # which brings the log into the file, and that to disk
    return found


def _carried(file: str) -> _Carried:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{quote(file)}?mode=ro", uri=True)) as old:
        kept = tuple(str(name) for (name,) in old.execute(schema.KEPT))
        failed = tuple((str(path), int(when)) for path, when in old.execute(schema.FAILED_WITH_TIMES))
        return _Carried(kept, failed)
    return _Carried()


def _swap(file: str, new: str) -> str:
    """Rename the old database out of the way and the new one in; returns where the old one is."""
    aside = kept_name(file)
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            os.rename(file + suffix, aside + suffix)
    os.rename(new, file)
    sync_path(os.path.dirname(file))
    return aside if os.path.exists(aside) else ""


def _remove(file: str) -> None:
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            os.unlink(file + suffix)
