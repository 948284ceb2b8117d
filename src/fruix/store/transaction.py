"""What is done around SQLite's work: one transaction, and errors in this store's words.

Classes, since context managers that are made of generators cost more.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from fruix.errors import StoreError
from fruix.store.database_errors import explanation


class Transaction:
    """One on the connection that writes, as `DatabaseFile.writing` says."""

    __slots__ = ("_connection", "_file", "_turn", "_writer")

    def __init__(
        self, turn: threading.RLock, writer: Callable[[], sqlite3.Connection | None], file: str
    ) -> None:
        """`writer` gives the connection when it is this thread's turn, or None if `file` isn't open."""
        self._turn = turn
        self._writer = writer
        self._file = file

    def __enter__(self) -> sqlite3.Connection:
        self._turn.acquire()
        try:
            connection = self._writer()
            if connection is None:
                raise StoreError("the store is not open", where=self._file)
            connection.execute("begin immediate")
        except BaseException as error:
            self._turn.release()
            if isinstance(error, sqlite3.Error):
                raise explanation(error, self._file) from error
            raise
        self._connection = connection
        return connection

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        connection = self._connection
        try:
            try:
                if error is None and connection.in_transaction:
                    connection.execute("commit")
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")
        except sqlite3.Error as worse:
            raise explanation(worse, self._file) from worse
        finally:
            self._turn.release()
        if isinstance(error, sqlite3.Error):
            raise explanation(error, self._file) from error


class explained:  # noqa: N801 - used as a context manager
    """Around what SQLite does: its errors become ours."""

    __slots__ = ("_file",)

    def __init__(self, file: str) -> None:
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise explanation(error, self._file) from error
