"""Guix's form of the database, schema 7: taken over when a store of its daemon's is opened; given back.

It has the tables of `schema` but for Fruix's own, and fewer columns in `ValidPaths`. Either way the
old database is kept beside the new one, and the file `schema` is changed last: until then a second
try does the same again. Guix's sessions hold a POSIX lock on `big-lock`, by which they are noticed.
Cost: the database is copied once; all that is not on disk yet is brought there.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from fruix.atomic_file import atomic_file, sync_path
from fruix.errors import StoreError
from fruix.log import Log
from fruix.store import schema
from fruix.store.layout import Layout
from fruix.store.owner import StoreLock

_log = Log(__name__)

VERSION = "7"
_SUFFIXES = ("", "-wal", "-shm")
_NEW_COLUMNS = """
alter table ValidPaths add column ultimate integer;
alter table ValidPaths add column sigs text;
alter table ValidPaths add column ca text;
"""
# What lies there is on disk when this runs, so that no start needs to read it all.
_SYNCED = "update FruixSync set mark = (select coalesce(max(id), 0) from ValidPaths);"
_SIZES = "update ValidPaths set narSize = 0 where narSize is null;"
_TAKE_OVER_AGAIN = f"begin immediate;{schema.CREATE}{_SIZES}{_SYNCED}commit;"
_TAKE_OVER = f"begin immediate;{_NEW_COLUMNS}{schema.CREATE}{_SIZES}{_SYNCED}commit;"

_TABLES = """
create table ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer
);
create table Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index IndexDerivationOutputs on DerivationOutputs(path);
create table FailedPaths (path text primary key not null, time integer not null);
"""
_COPY = """
insert into ValidPaths
    select id, path, hash, registrationTime, deriver, nullif(narSize, 0) from old.ValidPaths;
insert into Refs select referrer, reference from old.Refs;
insert into DerivationOutputs select drv, id, path from old.DerivationOutputs;
insert into FailedPaths select path, time from old.FailedPaths;
"""
_GIVE_BACK = f"begin;{_TABLES}{_COPY}commit;"
# Guix's clients look into these themselves.
_OPEN_DIRECTORIES = ("", "db", "gcroots", "gcroots/auto", "profiles", "profiles/per-user", "temproots")


def take_over(file: str) -> str:
    """Turn Guix's database into one of `schema`; returns where the old one is kept.

    Raises:
        StoreError: guix-daemon has the store open.
        sqlite3.Error: it is damaged, or there is no room.
    """
    with _guix_locked_out(os.path.dirname(file)):
        os.sync()
        kept = kept_name(file)
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            _copy_to(database, kept)
            there = {row[1] for row in database.execute("pragma table_info(ValidPaths)")}
            script = _TAKE_OVER_AGAIN if "ca" in there else _TAKE_OVER
            database.executescript(script)
            database.execute("pragma wal_checkpoint(truncate)").fetchone()
    _log.warning("guix-daemon's database is taken over; as it was, it is kept: %s", kept)
    return kept


def give_back(layout: Layout) -> str:
    """Turn the database into Guix's; returns where Fruix's is kept. Signatures stay only there.

    Raises:
        StoreError: somebody has the store open.
    """
    lock = StoreLock(layout.store, layout.state, os.path.dirname(layout.database))
    try:
        if not lock.alone:
            raise StoreError(
                f"somebody works on the store ({lock.read().process or 'unknown process'})",
                where=layout.store,
                hint="stop the daemon first",
            )
        _check_version(layout)
        new = f"{layout.database}.new"
        _remove(new)
        _write(new, layout.database)
        os.sync()
        kept = kept_name(layout.database)
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                os.rename(layout.database + suffix, kept + suffix)
        os.rename(new, layout.database)
        with atomic_file(_version_file(layout), sync=True) as version:
            version.write(VERSION.encode("ascii"))
        for name in _OPEN_DIRECTORIES:
            os.chmod(f"{layout.state}/{name}", 0o755)  # noqa: S103 - as guix-daemon makes them
        os.unlink(lock.path)  # the store belongs to a database that is no longer there
        return kept
    finally:
        lock.close()


def kept_name(file: str) -> str:
    """Where a database is kept that another takes the place of; nothing is there."""
    name = f"{file}.before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(free for free in names if not os.path.lexists(free))


@contextmanager
def _guix_locked_out(directory: str) -> Iterator[None]:
    with open(f"{directory}/big-lock", "ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                "guix-daemon works on this store",
                where=directory,
                hint="stop it first, with all that is connected to it",
            ) from error
        yield


def _copy_to(database: sqlite3.Connection, kept: str) -> None:
    """What the write-ahead log holds too; under another name until it is whole, and (by SQLite) on disk."""
    new = f"{kept}.new"
    with closing(sqlite3.connect(new)) as copy:
        database.backup(copy)
    os.chmod(new, 0o600)
    os.rename(new, kept)
    sync_path(os.path.dirname(kept))


def _write(new: str, old: str) -> None:
    with closing(sqlite3.connect(new, isolation_level=None)) as database:
        database.execute("attach ? as old", (old,))
        database.executescript(_GIVE_BACK)
        database.execute("pragma journal_mode = wal").fetchone()
    os.chmod(new, 0o644)


def _check_version(layout: Layout) -> None:
    with open(_version_file(layout), encoding="ascii", errors="replace") as file:
        found = file.read(16).strip()
    if found != schema.VERSION:
        raise StoreError(
            f"the database has schema version {found}, not {schema.VERSION}", where=layout.database
        )


def _version_file(layout: Layout) -> str:
    return f"{os.path.dirname(layout.database)}/schema"


def _remove(file: str) -> None:
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            os.unlink(file + suffix)
