"""Deduplication as a part of `LocalStore`: in the background after registration, or of everything."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING

from fruix.model.pathinfo import PathInfo
from fruix.model.savings import NOTHING, Savings
from fruix.model.storepath import StorePath
from fruix.model.text_object import AddedText
from fruix.store.deduplication.background import Background
from fruix.store.deduplication.links import linked_inodes
from fruix.store.deduplication.rules import ALL, Rules
from fruix.store.durability import Syncer
from fruix.store.objects.staging import Staging
from fruix.store.queries import StoreQueries

if TYPE_CHECKING:
    from concurrent.futures import Future

    from fruix.store.deduplication.replace import Deduplicator

_BATCH = 1000  # paths that are asked for at once

OnPath = Callable[[StorePath, int], None]
"""Told of each path that is done, and how many are."""


class StoredDeduplication(StoreQueries):
    """Mixed into `LocalStore`, which opens the directories."""

    _descriptor: int
    _rules: Rules | None = None
    _make_deduplicator: Callable[[], Deduplicator]
    _made_deduplicator: Deduplicator | None = None
    _making: threading.Lock
    _background: Background

    def _begin_deduplication(self, staging: Staging, syncer: Syncer, opened: ExitStack) -> None:
        def make() -> Deduplicator:
            from fruix.store.deduplication.replace import Deduplicator  # noqa: PLC0415 - not for a start

            return Deduplicator(self._descriptor, staging, self.database, syncer.steady)

        self._make_deduplicator, self._making = make, threading.Lock()
        self._background = Background(self._in_background)
        opened.callback(self._end_deduplicator)
        opened.callback(self._background.close)

    @property
    def _deduplicator(self) -> Deduplicator:
        """Made when something is deduplicated for the first time."""
        with self._making:
            if self._made_deduplicator is None:
                self._made_deduplicator = self._make_deduplicator()
            return self._made_deduplicator

    def _end_deduplicator(self) -> None:
        made, self._made_deduplicator = self._made_deduplicator, None
        if made is not None:
            made.close()

    def _in_background(self, path: StorePath, archive_hash: bytes) -> None:
        if self._rules is not None:
            self._deduplicator.deduplicate(path, self._rules, archive_hash=archive_hash)

    def _deduplicate_later(self, objects: Iterable[PathInfo | AddedText]) -> None:
        rules = self._rules
        if rules is not None:
            concerned = [added for added in objects if rules.concern(added.nar_size)]
            if concerned:  # else nobody is woken
                self._background.add((added.path, added.nar_digest) for added in concerned)

    def is_deduplicating(self) -> bool:
        """Whether something that was registered waits to be deduplicated, or is at it."""
        return self._background.is_busy()

    def wait_for_deduplication(self) -> None:
        """Return when what was registered up to now is deduplicated, as far as the store is to do so."""
        self._background.wait()

    def count(self) -> int:
        """How many paths are valid."""
        return self.database.count()

    def last_row(self) -> int:
        """A number for now, for `optimise`."""
        return self.database.last_id()

    def optimise(self, rules: Rules = ALL, *, after: int = 0, on_path: OnPath | None = None) -> Savings:
        """Deduplicate all valid paths, on as many threads as there are processors.

        Args:
            rules: what is deduplicated.
            after: only paths that were registered since `last_row` gave this.
            on_path: told of each path.

        Raises:
            OSError: as the system says.
        """
        linked = linked_inodes(self._descriptor) if not after else set()
        saved, done = NOTHING, 0
        from fruix.thread_pool import ThreadPool  # noqa: PLC0415 - seldom needed

        with ThreadPool(os.cpu_count() or 1, "optimise") as pool:

            def begun(path: StorePath) -> tuple[StorePath, Future[Savings]]:
                context = copy_context()  # whether to go on is asked there
                work = self._deduplicator.deduplicate
                return path, pool.submit(context.run, work, path, rules, linked)

            for path, future in _ahead(map(begun, self._paths_after(after)), 2 * (os.cpu_count() or 1)):
                saved += future.result()
                done += 1
                if on_path is not None:
                    on_path(path, done)
        self._deduplicator.drain()
        return saved

    def _paths_after(self, row: int) -> Iterator[StorePath]:
        while batch := self.database.rows_after(row, _BATCH):
            yield from (path for _, path in batch)
            row = batch[-1][0]


def _ahead(
    begun: Iterable[tuple[StorePath, Future[Savings]]], count: int
) -> Iterator[tuple[StorePath, Future[Savings]]]:
    """The same items, where up to `count` are taken before they are wanted."""
    waiting: deque[tuple[StorePath, Future[Savings]]] = deque()
    for item in begun:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting
