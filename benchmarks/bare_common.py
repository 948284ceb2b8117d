"""What bare programs have in common: numbers and strings as they are written, a database of paths."""

from __future__ import annotations

import sqlite3
import struct

U64 = struct.Struct("<Q")
TABLES = """
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null,
    hash text not null, registrationTime integer not null, narSize integer);
create table Refs (referrer integer not null references ValidPaths(id),
    reference integer not null references ValidPaths(id), primary key (referrer, reference))
    without rowid;
create index IndexReference on Refs(reference);
"""


def number(value: int) -> bytes:
    """A number on the wire, or in an archive."""
    return U64.pack(value)


def string(value: bytes) -> bytes:
    """A string there."""
    return U64.pack(len(value)) + value + bytes(-len(value) % 8)


def database(directory: str, more: str = "") -> sqlite3.Connection:
    """One with tables of paths and references, and what `more` makes; any thread may use it."""
    opened = sqlite3.connect(f"{directory}/db.sqlite", isolation_level=None, check_same_thread=False)
    for statement in ("journal_mode = wal", "synchronous = normal", "wal_autocheckpoint = 40000"):
        opened.execute(f"pragma {statement}").fetchone()
    if not opened.execute("select 1 from sqlite_master").fetchone():
        opened.executescript(TABLES + more)
    return opened
