"""Connections for queries, shared by all threads.

Each query borrows one of at most `MOST`, or waits for one.

The number is bounded since SQLite keeps the descriptor of a closed connection as long as another
one of the process holds a lock, which in write-ahead mode is always: as many stay open as there
ever were at once. The rows of long answers are charged to the request that asks (see `memory`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fruix.store.memory import charge

Row = tuple[object, ...]
MOST = 16
_RUN = 1024  # rows that are fetched at once
_ROW = 200  # bytes that a row takes besides its texts, with what is made of it


class Readers:
    """Thread-safe. Opens connections when they are needed.

    The last one given back is the next one lent.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._idle: deque[sqlite3.Connection] = deque()
        self._open = 0
        self._waiting = 0
        self._changed = threading.Condition()

    def rows(self, statement: str, parameters: tuple[object, ...]) -> list[Row]:
        """All rows of a query.

        Raises:
            MemoryLimitError: they are too many for the client that asks.
            sqlite3.Error: as SQLite says.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._wait()
        try:
            cursor = connection.execute(statement, parameters)
            try:
                rows = cursor.fetchmany(_RUN)
                return rows if len(rows) < _RUN else _fetched(rows, cursor)
            finally:
                cursor.close()
        finally:
            self._idle.append(connection)
            if self._waiting:
                self._notify()

    def _give(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._waiting:
            self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection in whose queries the database stays as it is now.

        Their rows are charged to nobody.
        """
        connection = self._wait()
        try:
            connection.execute("begin")
            try:
                yield connection
            finally:
                connection.execute("rollback")
        finally:
            self._give(connection)

    def _wait(self) -> sqlite3.Connection:
        with self._changed:
            self._waiting += 1  # before the look: whoever gives one back after it sees that somebody waits
            try:
                while True:
                    try:
                        return self._idle.pop()
                    except IndexError:
                        pass
                    if self._open < MOST:
                        connection = self._connect()
                        self._open += 1
                        return connection
                    self._changed.wait()
            finally:
                self._waiting -= 1

    def close(self) -> None:
        """Close all connections. No query may be running."""
        while self._idle:
            self._idle.pop().close()
            self._open -= 1


def _fetched(rows: list[Row], cursor: sqlite3.Cursor) -> list[Row]:
    """A first run of rows and all that follow."""
    run = rows
    while len(run) == _RUN:
        texts = sum(len(value) for row in run for value in row if isinstance(value, str))
        charge(_RUN * _ROW + 3 * texts)
        run = cursor.fetchmany(_RUN)
        rows += run
    return rows
