"""The object that is being deduplicated: what is open for it, and what was saved."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from fruix.dataclass import dataclass
from fruix.model.storepath import StorePath
from fruix.store.deduplication.links import opened_links
from fruix.store.deduplication.mending import noted
from fruix.store.deduplication.rules import Rules


class Staging(Protocol):
    """A private directory on the store's file system."""

    @property
    def directory(self) -> int:
        """It, open."""

    def place(self) -> AbstractContextManager[bytes]:
        """A fresh name there; what lies there after an exception is deleted."""

    def drop(self, name: bytes) -> None:
        """Delete what was made at a place."""


@dataclass(slots=True)
class ObjectAtWork:
    """The object that is worked on, in the open directory `store`.

    `undo` closes what is open as long as that lasts; `files`, `freed` and `left` are those of `Savings`.
    """

    path: StorePath
    row: int
    rules: Rules
    undo: ExitStack
    store: int
    staging: Staging
    archive_hash: bytes
    is_noted: bool = False
    descriptor: int = -1
    fresh: bytes = b""
    files: int = 0
    freed: int = 0
    left: int = 0

    def links(self) -> int:
        """The open directory of links, which is opened for the first file that needs it."""
        if self.descriptor < 0:
            self.descriptor = self.undo.enter_context(opened_links(self.store))
        return self.descriptor

    def replaced(self, before: os.stat_result) -> None:
        """Count a file that was replaced; `before` is its status before that."""
        self.files += 1
        if before.st_nlink == 1:
            self.freed += before.st_blocks * 512

    def forget_links(self) -> None:
        """Open the directory of links anew for the next file: it may have been removed."""
        self.descriptor = -1

    def place(self) -> bytes:
        """A name in the private directory, the same as long as what is made there is moved or dropped."""
        if not self.fresh:
            self.fresh = self.undo.enter_context(self.staging.place())
        return self.fresh

    def note(self) -> None:
        """Before the first change, note on disk what is being changed."""
        if not self.is_noted:
            self.undo.enter_context(noted(self.staging.directory, self.path.base))
            self.is_noted = True
