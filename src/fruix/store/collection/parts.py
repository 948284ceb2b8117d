"""What a collection works on: the parts of an open store, and what it tells meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from fruix.dataclass import dataclass
from fruix.store.collection.gate import Gate
from fruix.store.collection.temp_roots import TempRoots
from fruix.store.database import Database
from fruix.store.layout import Layout
from fruix.store.locks import PathLocks


class Trash(Protocol):
    """A private directory on the store's file system (`objects.staging.Staging`)."""

    def take(self, base: str) -> bytes | None:
        """Move what has a name in the store to a place there; None if nothing has."""

    def drop(self, name: bytes, freed: Callable[[os.stat_result], None] | None = None) -> None:
        """Delete what was moved there; `freed` is told of each file."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one open store.

    Attributes:
        descriptor: the store directory.
        temp_root_file: the name of this process's file of temporary roots.
        path_locks: makes an empty set of locks.
        lock_directory: the open directory in which a file stands for each lock.
        emptied: called before the last valid paths are deleted.
        remove_unused_links: removes what deduplication keeps of files that are gone, and returns how
            many bytes the links that stay save.
    """

    layout: Layout
    descriptor: int
    database: Database
    gate: Gate
    temp_roots: TempRoots
    temp_root_file: str
    trash: Trash
    path_locks: Callable[[], PathLocks]
    lock_directory: int
    emptied: Callable[[], None]
    remove_unused_links: Callable[[], int]
