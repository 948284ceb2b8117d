"""What bare programs have in common: numbers and strings as they are written, a database, directories."""

from __future__ import annotations

import os
import sqlite3
import struct

U64 = struct.Struct("<Q")
UID = 46900
"""Of all builders."""
TABLES = """
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null,
    hash text not null, registrationTime integer not null, deriver text, narSize integer, ultimate integer,
    sigs text, ca text);
create table Refs (referrer integer not null references ValidPaths(id) on delete cascade,
    reference integer not null references ValidPaths(id) on delete restrict,
    primary key (referrer, reference)) without rowid;
create index IndexReference on Refs(reference);
"""
_SETTINGS = (
    "page_size = 2048",  # of a database that is made now
    *("journal_mode = wal", "foreign_keys = 1", "synchronous = normal", "wal_autocheckpoint = 40000"),
)


def number(value: int) -> bytes:
    """A number on the wire, or in an archive."""
    return U64.pack(value)


def string(value: bytes) -> bytes:
    """A string there."""
    return U64.pack(len(value)) + value + bytes(-len(value) % 8)


def file_archive(contents: bytes) -> bytes:
    """The archive of a file that isn't a program."""
    parts = (b"nix-archive-1", b"(", b"type", b"regular", b"contents", contents, b")")
    return b"".join(map(string, parts))


def database(directory: str, more: str = "") -> sqlite3.Connection:
    """One with tables of paths and references, and what `more` makes; any thread may use it.

    Columns, keys and pages are Fruix's, which are nix-daemon's and guix-daemon's but for the pages.
    """
    opened = sqlite3.connect(f"{directory}/db.sqlite", isolation_level=None, check_same_thread=False)
    for statement in _SETTINGS:
        opened.execute(f"pragma {statement}").fetchone()
    if not opened.execute("select 1 from sqlite_master").fetchone():
        opened.executescript(TABLES + more)
    return opened


def make_directories(base: str) -> None:
    """Those of one build, none of which is there."""
    for name, mode, group in (
        ("", 0o755, 0),
        ("root", 0o700, 0),
        ("store", 0o1775, UID),
        ("tmp", 0o1777, 0),
    ):
        os.mkdir(f"{base}/{name}")
        os.chmod(f"{base}/{name}", mode)
        os.chown(f"{base}/{name}", 0, group)
    os.mkdir(f"{base}/build")
    os.chown(f"{base}/build", UID, UID)


def delete_directories(base: str, name: str = "shell") -> None:
    """Delete them; their output has been taken."""
    for path in ("root", f"store/{name}", "store", "tmp", "build", ""):
        os.rmdir(f"{base}/{path}")
