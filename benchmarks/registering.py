"""Making very many paths valid at once: files, and rows in the database of a daemon that doesn't run.

All three daemons have Nix's tables. Each path is a small text with the hash that it has.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from fruix.model import base32
from fruix.model.nar import write
from peers import Daemon
from report import OURS

Below = Callable[[int], Iterable[int]]
"""What a path refers to: the numbers of earlier ones."""

_ROWS = "insert into ValidPaths (id, path, hash, registrationTime, narSize) values (?, ?, ?, 1, ?)"
_EDGES = "insert or ignore into Refs (referrer, reference) values (?, ?)"


def two_earlier(number: int) -> Iterable[int]:
    """The path before, and the one of half the number: the last path needs all others."""
    return {number - 1, number // 2} if number else ()


def tree(count: int) -> Below:
    """Of so many paths: a tree, whose top is the last one, with three more references each."""

    def below(number: int) -> Iterable[int]:
        place = count - 1 - number
        further = (place * step % count for step in (3, 5, 7))
        return {
            count - 1 - other for other in (2 * place + 1, 2 * place + 2, *further) if place < other < count
        }

    return below


def register(daemon: Daemon, prefix: str, count: int, below: Below) -> list[str]:
    """Register so many paths; the daemon is stopped meanwhile."""
    daemon.stop()
    connection = sqlite3.connect(daemon.database)
    (first,) = connection.execute("select coalesce(max(id), 0) + 1 from ValidPaths").fetchone()
    paths = [f"{daemon.store}/{_base(prefix, number)}" for number in range(count)]
    with connection:
        connection.executemany(_ROWS, _rows(first, prefix, paths))
        pairs = ((first + number, first + other) for number in range(count) for other in below(number))
        connection.executemany(_EDGES, pairs)
        if daemon.name == OURS:  # it would read again at its start what came after this mark
            connection.execute("update FruixSync set mark = ?", (first + count,))
    connection.close()
    daemon.start()
    return paths


def _base(prefix: str, number: int) -> str:
    name = f"{prefix}-{number}"
    return f"{base32.encode(hashlib.sha256(name.encode()).digest()[:20])}-{name}"


def _rows(first: int, prefix: str, paths: Iterable[str]) -> Iterator[tuple[int, str, str, int]]:
    """Make the files, and yield their rows."""
    for number, path in enumerate(paths):
        text = f"{prefix} {number}".encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        os.write(descriptor, text)
        os.utime(descriptor, (1, 1))
        os.close(descriptor)
        head = write.MAGIC + write.file_head(len(text), executable=False)
        archive = head + text + write.file_tail(len(text))
        yield first + number, path, "sha256:" + hashlib.sha256(archive).hexdigest(), len(archive)
