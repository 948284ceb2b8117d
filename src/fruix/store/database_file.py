"""The database's files: opening and closing, transactions, syncing.

SQLite in write-ahead mode: readers never wait for writers. Any number of threads: queries share a
few connections (`readers`; statements are prepared once per connection by `sqlite3`'s own cache),
writers take turns on one connection. Beside the database lie `schema`, the version of its tables,
and `reserved`, disk space that can be given up.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

from fruix.atomic_file import atomic_file, sync_path
from fruix.errors import StoreError
from fruix.late import late_pattern
from fruix.store import guix_database, reserved_space, schema
from fruix.store.commits import CommitHeader
from fruix.store.database_errors import REBUILD, explanation
from fruix.store.readers import Readers, Row
from fruix.store.transaction import Transaction, explained

_MOST_TEXT = 256
_IDENTITY = late_pattern("[0-9a-f]{16}")
# Milliseconds that a statement waits for other programs that lock the database.
BUSY_TIMEOUT = 60_000

Version = tuple[int, int | bytes]


class DatabaseFile:
    """An SQLite database with the tables of `schema`. Thread-safe.

    Attributes:
        identity: 16 hex digits that tell this store from all others; once it is open.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._reserved = os.path.join(os.path.dirname(file), "reserved")
        self._readers = Readers(self._another)
        self._writer: sqlite3.Connection | None = None
        self._turn = threading.RLock()
        self._watching = threading.Lock()
        self._watcher: sqlite3.Cursor | None = None
        self._commits: CommitHeader | None = None
        self._times_opened = 0
        self.identity = ""

    def open(self) -> None:
        """Open the database, creating it if there is none; one of guix-daemon's is taken over.

        Raises:
            StoreError: another schema version, or SQLite's own trouble.
        """
        version_file = os.path.join(os.path.dirname(self.file), "schema")
        if _read_text(version_file) == guix_database.VERSION:
            with explained(self.file):
                guix_database.take_over(self.file)
            _write_text(version_file, schema.VERSION)
        _check_version(version_file)
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        _write_text(version_file, schema.VERSION)
        self.reserve()

    def reserve(self) -> None:
        """Keep some disk space that can be given up, if there is twice as much."""
        reserved_space.reserve(self._reserved, spare=reserved_space.SIZE)

    def give_up_reserve(self) -> None:
        """Give up that space, so that a full disk still lets the database shrink. Writes nothing."""
        with suppress(FileNotFoundError):
            os.unlink(self._reserved)

    def _open(self) -> None:
        self._times_opened += 1
        _create_file(self.file, 0o600)
        with explained(self.file):
            self._writer = self._connect()
            self._writer.execute(schema.PAGE_SIZE)
            # One reader is kept ready; it also keeps the log from being removed between writers.
            self._writer.execute("pragma journal_mode = wal").fetchone()
            self._writer.executescript(schema.CREATE)
            self._watcher = self._connect().cursor()  # now: later there may be no more descriptors
        self.identity = str(self.rows(schema.GET_IDENTITY)[0][0])
        if not _IDENTITY.fullmatch(self.identity):
            raise StoreError(
                f"database: its identity is damaged ({self.identity[:32]!r})", where=self.file, hint=REBUILD
            )

    def version(self) -> Version:
        """What is something else after each commit, of whichever process. Costs 1 µs.

        Raises:
            StoreError: the store is not open.
        """
        try:
            with self._watching:
                if self._watcher is None:
                    raise StoreError("the store is not open", where=self.file)
                if self._commits is None:
                    self._watcher.execute("pragma data_version").fetchone()
                    self._commits = CommitHeader(self.file)
                header = self._commits.read()
                if header:
                    return self._times_opened, header
                return self._times_opened, self._watcher.execute("pragma data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise explanation(error, self.file) from error

    def close(self) -> None:
        """Close all connections. No query may be running."""
        self._readers.close()
        with self._watching:
            if self._watcher is not None:
                self._watcher.connection.close()
                self._watcher = self._commits = None
        with self._turn:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                reserved_space.reserve(self._reserved, spare=0)  # what the log took is free again

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.file,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
            timeout=BUSY_TIMEOUT / 1000,
        )
        for statement in schema.CONNECTION:
            connection.execute(statement).fetchone()
        return connection

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """One transaction: commits at the end, rolls back on any exception.

        Others wait for their turn.
        """
        return Transaction(self._turn, self._current_writer, self.file)

    def _current_writer(self) -> sqlite3.Connection | None:
        return self._writer

    def write_unseen(self, statement: str, *parameters: object) -> None:
        """A transaction of one statement for what nobody asks for: `version` stays."""
        with self.writing() as connection:
            connection.execute(statement, parameters)
            with self._watching:  # who asks for the version waits until it is the one of before again
                if self._commits is not None:
                    self._commits.keep_over(partial(connection.execute, "commit"))

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries that all see the database as it is now; writers go on."""
        with explained(self.file), self._readers.snapshot() as connection:
            yield connection

    def rows(self, statement: str, *parameters: object) -> list[Row]:
        """The rows of a query as they stand there.

        Raises:
            StoreError: what is wrong with the database.
        """
        try:
            return self._readers.rows(statement, parameters)
        except sqlite3.Error as error:
            raise explanation(error, self.file) from error

    def _fresh_rows(self, statement: str, *parameters: object) -> list[Row]:
        """The same by the connection that writes, if it is free.

        It knows what was written last; others read that from the log.
        """
        if self._turn.acquire(blocking=False):
            try:
                if self._writer is not None:
                    return self._writer.execute(statement, parameters).fetchall()
            except sqlite3.Error as error:
                raise explanation(error, self.file) from error
            finally:
                self._turn.release()
        return self.rows(statement, *parameters)

    def _another(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreError("the store is not open", where=self.file)
        return self._connect()

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file and with references between rows."""
        found = [str(row[0]) for row in self.rows("pragma quick_check") if row[0] != "ok"]
        return found + [f"dangling row in {row[0]}" for row in self.rows("pragma foreign_key_check")]

    def sync_log(self) -> None:
        """Bring every committed transaction to disk.

        SQLite has done so with the names of the database's files when it made them.
        """
        # Opening and closing this file drops no lock of SQLite's (those are on the main file and
        # the -shm).
        with suppress(FileNotFoundError):
            sync_path(self.file + "-wal", os.O_NOFOLLOW)

    def checkpoint(self) -> None:
        """Move what is in the log into the main file, as far as no reader is in the way."""
        self.rows("pragma wal_checkpoint(passive)")


def _create_file(path: str, mode: int) -> None:
    """Make an empty file with exactly this mode.

    Never opens one that exists: closing it would drop SQLite's locks.
    """
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
    if _read_text(path) != text:
        with atomic_file(path, sync=True) as file:
            file.write(text.encode("ascii"))
