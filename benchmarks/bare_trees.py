#!/usr/bin/env python3
"""bare_trees.py [DIRECTORY]: the least that two rows about stores cost a program in Python.

It makes the calls of the system, and the queries, that the rows *deduplicate* and *collect 10,000 of
1,000,000* can't do without, and nothing between them: no locks, no journal, no sockets, nobody else
who might use the store. What it needs is what the kernel, SQLite and the interpreter need.

Prints seconds, wall clock and of the processor, of the best of three.
"""

from __future__ import annotations

import hashlib
import os
import queue
import random
import sqlite3
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable
from itertools import chain

from bare_common import TABLES

FILES, SIZE = 2_000, 16 << 10
PATHS = 1_000_000


# Two trees of the same files, each replaced by a link to the first that has its contents


def _trees(base: str) -> None:
    os.makedirs(f"{base}/links", exist_ok=True)
    chosen = random.Random(time.monotonic_ns())
    contents = [chosen.randbytes(SIZE) for _ in range(FILES)]
    for tree in ("one", "other"):
        os.makedirs(f"{base}/{tree}")
        for index, data in enumerate(contents):
            with open(f"{base}/{tree}/{index}", "wb") as file:
                file.write(data)
    os.sync()


def deduplicate(base: str, *, compare: bool = True) -> None:
    """Link each file by its hash, or replace it by the link that is there."""
    closing: queue.SimpleQueue[int] = queue.SimpleQueue()
    thread = threading.Thread(target=_close, args=(closing,))
    thread.start()
    links = os.open(f"{base}/links", os.O_RDONLY)
    for tree in ("one", "other"):
        directory = os.open(f"{base}/{tree}", os.O_RDONLY)
        for name in sorted(os.listdir(directory)):
            file = os.open(name, os.O_RDONLY, dir_fd=directory)
            os.fstat(file)
            data = os.read(file, SIZE + 1)
            key = hashlib.sha256(data).hexdigest()
            try:
                os.link(name, key, src_dir_fd=directory, dst_dir_fd=links)
            except FileExistsError:
                _replace(links, key, directory, name, data if compare else b"")
                closing.put(file)
            else:
                os.close(file)
        os.close(directory)
    closing.put(-1)
    thread.join()
    os.close(links)


def _replace(links: int, key: str, directory: int, name: str, data: bytes) -> None:
    if data:
        other = os.open(key, os.O_RDONLY, dir_fd=links)
        os.fstat(other)
        if os.read(other, SIZE + 1) != data:
            sys.exit("not the same")
        os.close(other)
    os.link(key, "new", src_dir_fd=links, dst_dir_fd=links)
    os.rename("new", name, src_dir_fd=links, dst_dir_fd=directory)
    os.utime(directory, (1, 1))


def _close(files: queue.SimpleQueue[int]) -> None:
    """Files that have no name any more: to free them waits for the file system."""
    while (file := files.get()) >= 0:
        os.close(file)


# The graph of a million paths, of which all are alive


def _database(file: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute("pragma synchronous = off")
    connection.executescript(TABLES)
    with connection:
        connection.executemany(
            "insert into ValidPaths (id, path, hash, registrationTime, narSize) values (?, ?, ?, 1, 120)",
            ((row, f"/frx/store/{row:032}-million", "sha256:" + 64 * "0") for row in range(1, PATHS + 1)),
        )
        connection.executemany(
            "insert or ignore into Refs values (?, ?)",
            ((row, other) for row in range(2, PATHS + 1) for other in (row - 1, row // 2)),
        )
    connection.close()


def mark(file: str) -> None:
    """Read rows and references, and go through these once."""
    connection = sqlite3.connect(file)
    rows = array("i", chain.from_iterable(connection.execute("select id from ValidPaths order by id")))
    edges = array(
        "i", chain.from_iterable(connection.execute("select referrer, reference from Refs order by 1"))
    )
    alive = bytearray(rows[-1] + 1)
    alive[rows[-1]] = 1
    for begin, end in zip(edges[-2::-2], edges[::-2], strict=True):
        if alive[begin]:
            alive[end] = 1
    if alive.count(1) != PATHS:
        sys.exit("not all are alive")


def _best(title: str, prepare: Callable[[], object], work: Callable[[], object]) -> None:
    found = []
    for _ in range(3):
        prepare()
        begun, processor = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - begun, time.process_time() - processor))
    print(
        f"{title}: {min(wall for wall, _ in found):.3f} s, processor {min(used for _, used in found):.3f} s"
    )


def main() -> None:
    """Make what is worked on in a fresh directory, and measure."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as base:
        places = [f"{base}/{number}" for number in range(6)]
        for title, compare in (("deduplicate 4,000 files", True), ("the same, not compared", False)):
            fresh, worked = iter(places), iter(places)
            _best(
                title,
                lambda fresh=fresh: _trees(next(fresh)),  # type: ignore[misc]
                lambda worked=worked, compare=compare: deduplicate(next(worked), compare=compare),  # type: ignore[misc]
            )
            places = places[3:]
        _database(f"{base}/db.sqlite")
        _best("graph of 1,000,000 paths", lambda: None, lambda: mark(f"{base}/db.sqlite"))


if __name__ == "__main__":
    main()
