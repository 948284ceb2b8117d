"""The database of valid paths: connections, transactions, queries.

SQLite in write-ahead mode: readers never wait for writers. Any number of threads: queries share a few connections (`readers`; statements
are prepared once per connection by `sqlite3`'s own cache), writers take turns on one connection. Values go in as bound parameters
only; the statements are constants of `fruix.store.schema`.

Cost: validity of a path about 5 µs, its whole info about 25 µs; a transaction that registers a path about 80 µs, without any fsync
(`fruix.store.durability` cares for the disk).
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from fruix.errors import StoreError
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.memory import charge
from fruix.store.readers import Readers, Row

# Bytes for each path in a question about more than `_MANY` paths: its place here, its JSON, SQLite's copy of that.
_MANY, _ASKED = 1024, 500
_MOST_TEXT = 256
_RESERVED_SIZE = 8 << 20
_IDENTITY = re.compile("[0-9a-f]{16}")
_DAMAGED = "bring back a copy of the database"
_HINT = "look at the disk (space, errors) and at the database's files; 'fruix store verify' checks the store"


class Database:
    """Valid paths, their references and the outputs of derivations. Thread-safe.

    Attributes:
        identity: 16 hex digits that tell this store from all others; once it is open.
    """

    def __init__(self, file: str, directory: str) -> None:
        self.file = file
        self.directory = directory
        self._readers = Readers(self._another)
        self._writer: sqlite3.Connection | None = None
        self._turn = threading.RLock()
        self.identity = ""

    # Opening and closing

    def open(self) -> None:
        """Open the database, creating it if there is none.

        Raises:
            StoreError: another schema version, or SQLite's own trouble.
        """
        version_file = os.path.join(os.path.dirname(self.file), "schema")
        _check_version(version_file)
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        _write_text(version_file, schema.VERSION)
        _reserve(os.path.join(os.path.dirname(self.file), "reserved"))

    def _open(self) -> None:
        _create_file(self.file, 0o600)
        with _explained(self.file):
            self._writer = self._connect()
            # One reader is kept ready; it also keeps the log from being removed between writers.
            self._writer.execute("pragma journal_mode = wal").fetchone()
            self._writer.executescript(schema.CREATE)
        self.identity = str(self._rows(schema.GET_IDENTITY)[0][0])
        if not _IDENTITY.fullmatch(self.identity):
            raise StoreError(
                f"database: its identity is damaged ({self.identity[:32]!r})", where=self.file, hint=_DAMAGED
            )

    def close(self) -> None:
        """Close all connections. No query may be running."""
        self._readers.close()
        with self._turn:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.file, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=3600
        )
        for statement in schema.CONNECTION:
            connection.execute(statement).fetchone()
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: commits at the end, rolls back on any exception. Others wait for their turn."""
        with self._turn, _explained(self.file):
            connection = self._writer
            if connection is None:
                raise StoreError("the store is not open", where=self.file)
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise

    def _rows(self, statement: str, *parameters: object) -> list[Row]:
        try:
            return self._readers.rows(statement, parameters)
        except sqlite3.Error as error:
            raise _explanation(error, self.file) from error

    def _another(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreError("the store is not open", where=self.file)
        return self._connect()

    def paths(self, statement: str, *parameters: object) -> list[StorePath]:
        """The paths that a query of one column gives, in its order."""
        return [self._path(row[0]) for row in self._rows(statement, *parameters)]

    def _path(self, text: object) -> StorePath:
        return StorePath.parse(str(text), self.directory)

    # Queries

    def is_valid(self, path: StorePath) -> bool:
        """Whether the path is registered."""
        return bool(self._rows(schema.IS_VALID, str(path)))

    def valid_of(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Those of the paths that are registered."""
        by_text = {str(path): path for path in paths}
        if len(by_text) > _MANY:
            charge(_ASKED * len(by_text))
        return {by_text[str(row[0])] for row in self._rows(schema.VALID_OF, json.dumps(list(by_text)))}

    def info(self, path: StorePath) -> PathInfo | None:
        """All that is known about a path, or None when it is not registered."""
        rows = self._rows(schema.INFO_BY_PATH, str(path))
        return self._info(rows[0]) if rows else None

    def registered_after(self, identifier: int) -> list[PathInfo]:
        """What was registered after the row with this id, in order."""
        return [self._info(row) for row in self._rows(schema.INFO_AFTER_ID, identifier)]

    def _info(self, row: Row) -> PathInfo:
        path, nar_hash, registered, deriver, size, ultimate, signatures, address, references = row
        return PathInfo(
            path=self._path(path),
            nar_hash=Hash.parse(str(nar_hash)),
            nar_size=_integer(size),
            references=tuple(sorted(self._path(text) for text in _words(references))),
            deriver=self._path(deriver) if deriver else None,
            registration_time=_integer(registered),
            ultimate=bool(ultimate),
            signatures=tuple(_words(signatures)),
            content_address=ContentAddress.parse(str(address)) if address else None,
        )

    def references(self, path: StorePath) -> list[StorePath]:
        """What a path refers to, in order."""
        return self.paths(schema.REFERENCES, str(path))

    def referrers(self, path: StorePath) -> list[StorePath]:
        """What refers to a path (with the path itself, if it does), in order."""
        return self.paths(schema.REFERRERS, str(path))

    def derivers(self, path: StorePath) -> list[StorePath]:
        """The valid derivations that have this path as an output."""
        return self.paths(schema.DERIVERS, str(path))

    def outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        """The outputs, with names, of a valid derivation; valid or not."""
        return {str(name): self._path(path) for name, path in self._rows(schema.OUTPUTS, str(drv))}

    def by_hash_part(self, text: str) -> StorePath | None:
        """The valid path with this hash part (32 characters of nix32, checked by the caller)."""
        start = f"{self.directory}/{text}"
        # A range, not LIKE: no wildcards to escape. '-' is the character after the hash part, '.' its successor.
        found = self.paths(schema.HASH_PART, start + "-", start + ".")
        return found[0] if found else None

    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """The paths and all they refer to, directly or not. Paths that are not registered are left out."""
        return set(self.paths(schema.CLOSURE, json.dumps([str(path) for path in paths])))

    def referrers_closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """The paths and all that refer to them, directly or not."""
        return set(self.paths(schema.REFERRERS_CLOSURE, json.dumps([str(path) for path in paths])))

    def all_paths(self) -> list[StorePath]:
        """Every registered path, in order."""
        return self.paths(schema.ALL_PATHS)

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file and with references between rows."""
        found = [str(row[0]) for row in self._rows("pragma quick_check") if row[0] != "ok"]
        return found + [f"dangling row in {row[0]}" for row in self._rows("pragma foreign_key_check")]

    # Deletion and the sync mark

    def remove(self, paths: Iterable[StorePath]) -> None:
        """Drop rows, all or none.

        Raises:
            StoreError: something outside of `paths` refers to one of them.
        """
        with self.writing() as connection:
            parameters = [(str(path),) for path in paths]
            connection.executemany(schema.DELETE_REFERENCES_OF, parameters)
            connection.executemany(schema.DELETE_PATH, parameters)

    def last_id(self) -> int:
        """The id of the newest row that is committed (0 when there is none)."""
        return _integer(self._rows(schema.LAST_ID)[0][0])

    def mark(self) -> int:
        """The id up to which everything is known to be on disk."""
        return _integer(self._rows(schema.GET_MARK)[0][0])

    def set_mark(self, identifier: int) -> None:
        """Advance the mark (it never goes back)."""
        with self.writing() as connection:
            connection.execute(schema.SET_MARK, (identifier, identifier))

    def newest(self) -> int:
        """The highest id that a row ever had; 0 when there are no rows."""
        return _integer(self._rows(schema.NEWEST_ID)[0][0])

    def newest_path(self) -> StorePath | None:
        """The path that was registered last, of those that are valid."""
        return next(iter(self.paths(schema.NEWEST_PATH)), None)

    # What is kept without being valid

    def kept(self) -> set[str]:
        """Base names of unregistered objects that are kept for people to look at."""
        return {str(row[0]) for row in self._rows(schema.KEPT)}

    def keep(self, name: str) -> None:
        """Note that such an object has that name."""
        with self.writing() as connection:
            connection.execute(schema.INSERT_KEPT, (name,))

    def unkeep(self, name: str) -> None:
        """Note that it is gone."""
        with self.writing() as connection:
            connection.execute(schema.DELETE_KEPT, (name,))

    # Syncing

    def sync(self) -> None:
        """Bring the database itself to disk, with its name: after it was made."""
        self.sync_log()
        descriptor = os.open(os.path.dirname(self.file), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_log(self) -> None:
        """Bring every committed transaction to disk."""
        # Opening and closing this file drops no lock of SQLite's (those are on the main file and the -shm).
        try:
            descriptor = os.open(self.file + "-wal", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def checkpoint(self) -> None:
        """Move what is in the log into the main file, as far as no reader is in the way."""
        self._rows("pragma wal_checkpoint(passive)")


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _words(value: object) -> list[str]:
    return str(value).split() if value else []


@contextmanager
def _explained(file: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _explanation(error, file) from error


def _explanation(error: sqlite3.Error, file: str) -> StoreError:
    return StoreError(f"database: {error}", where=file, hint=_HINT)


def _create_file(path: str, mode: int) -> None:
    """Make an empty file with exactly this mode. Never opens one that exists: closing it would drop SQLite's locks."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    os.fchmod(descriptor, mode)
    os.close(descriptor)


def _check_version(path: str) -> None:
    found = _read_text(path)
    if found is None or found in {"0", schema.VERSION}:
        return
    if not found.isdecimal():
        raise StoreError(
            f"the file with the schema's version holds {found[:32]!r}, which is no number",
            where=path,
            hint=f"write {schema.VERSION} into it if the database beside it is of this version",
        )
    raise StoreError(
        f"current store schema is version {found}, but only {schema.VERSION} is supported", where=path
    )


def _read_text(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="backslashreplace") as file:
            return file.read(_MOST_TEXT).strip()
    except FileNotFoundError:
        return None


def _write_text(path: str, text: str) -> None:
    """Replace a small file as a whole."""
    if _read_text(path) == text:
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _reserve(path: str) -> None:
    """Keep some disk space that can be given up, so that a full disk still lets the database shrink."""
    if os.path.exists(path):
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _RESERVED_SIZE)
    except OSError:
        # No space to reserve, or a file system that can't: the store works without.
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
