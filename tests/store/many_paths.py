"""Stores with very many paths, which have rows and, but for one, no files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.local import LocalStore

_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_SCATTER = 0x9E3779B97F4A7C15  # so that the order of paths isn't that of rows


def path_of(directory: str, number: int) -> str:
    """Each number's path. The first 13 characters come from the number, and no two are alike."""
    value = number * _SCATTER % (1 << 64)
    characters = "".join(_ALPHABET[value >> 5 * place & 31] for place in range(13))
    return f"{directory}/{characters}{'0' * 19}-p{number}"


def fill(layout: Layout, count: int) -> None:
    """Register so many paths, 1 and on; each refers to the one of half its number, but for the first.

    The last one has a file: a store that is wholly empty is refused.
    """
    with LocalStore(layout):
        pass
    connection = sqlite3.connect(layout.database)
    connection.execute("pragma synchronous = off")
    with connection:
        connection.executemany(
            "insert into ValidPaths (id, path, hash, registrationTime, narSize) values (?, ?, ?, 1, 120)",
            ((number, path_of(layout.store, number), "sha256:" + "0" * 64) for number in range(1, count + 1)),
        )
        connection.executemany("insert into Refs (referrer, reference) values (?, ?)", _references(count))
        connection.execute("update FruixSync set mark = ?", (count,))
    connection.close()
    Path(path_of(layout.store, count)).write_bytes(b"")


def _references(count: int) -> Iterator[tuple[int, int]]:
    return ((number, number // 2) for number in range(2, count + 1))


def paths(directory: str, numbers: Iterable[int]) -> list[StorePath]:
    return [StorePath.parse(path_of(directory, number), directory) for number in numbers]
