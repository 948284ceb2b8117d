"""The sync mark: what is known to be on disk, so that no path needs an fsync of its own.

Rows are committed at once. A thread in the background, some seconds after the first new row, does
in this order: note the newest row; sync the store's whole file system; fsync the database's log;
advance the mark to the noted row. After a power cut everything up to the mark is whole; what was
registered later is re-hashed by `recover` when the store is opened. `wait` does the same at once
and returns when the mark has passed (`durability = "strict"`); callers that come together share one
sync.

If the system reports that data could not be written, the mark never moves again in this process:
the error is reported only once by the kernel, and what it meant is found by re-hashing at the next
start.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from fruix.errors import FruixError, StoreError
from fruix.log import Log
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import flags
from fruix.store.database import Database
from fruix.store.objects.content_hashes import nar_hash
from fruix.store.tree.syncing import sync_tree
from fruix.threads import Thread

INTERVAL = 3.0
_CHECKPOINT_SIZE = 4 << 20
_NOTHING = nullcontext()
_log = Log(__name__)


class Syncer:
    """Advances the mark of one store. Thread-safe."""

    def __init__(
        self,
        database: Database,
        store: int,
        noted: Callable[[int], None] = lambda _mark: None,
        *,
        interval: float | None = None,
    ) -> None:
        """`noted` is told of each new mark, after the database."""
        self._database = database
        self._store = store
        self._noted = noted
        self._interval = INTERVAL if interval is None else interval
        self._turn = threading.Lock()
        self._mark = 0
        self._failure: OSError | None = None
        self._abandoned = False
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. The database is open."""
        self._mark = self._database.mark()
        self._thread = Thread(target=self._run, name="store-sync")
        self._thread.start()

    def changed(self) -> None:
        """Say that rows were committed; the mark follows within some seconds."""
        if not self._changed.is_set():  # else the thread looks for the newest row when it has reset it
            self._changed.set()

    def wait(self) -> None:
        """Return when all that is committed now is on disk.

        Raises:
            StoreError: the system could not write it.
        """
        target = self._database.last_id()
        with self._turn:
            if self._mark < target:
                self._advance()

    def steady(self, row: int, needed: int) -> AbstractContextManager[None]:
        """Meanwhile the mark stays: no row comes to lie before it.

        If the row `row` does already, then so does the row `needed`, which is brought to disk for
        that. With that, a file of the path of `row` may be replaced by one of the path of `needed`:
        a power cut takes either none of it, or `recover` looks at both. Where `needed` is on disk,
        or comes to lie before the mark no later than `row`, that is so wherever the mark is.

        Raises:
            StoreError: the system could not write it.
        """
        return _NOTHING if needed <= max(row, self._mark) else self._held(row, needed)

    @contextmanager
    def _held(self, row: int, needed: int) -> Iterator[None]:
        with self._turn:
            if row <= self._mark < needed:
                self._advance()
            yield

    @property
    def mark(self) -> int:
        """The newest row that is known to be on disk."""
        return self._mark

    def forget_noted(self) -> None:
        """Have it noted that nothing is known to be on disk: the last valid paths are about to go."""
        with self._turn:
            self._noted(0)

    def abandon(self) -> None:
        """Have `stop` write nothing more: the store was removed."""
        self._abandoned = True

    def stop(self) -> None:
        """Advance the mark to the end, then end the thread."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if self._abandoned:
                return
            try:
                self.wait()
            except FruixError as error:
                _log.error("%s", error)

    def _run(self) -> None:
        while True:
            self._changed.wait()
            if self._stopping.wait(self._interval):
                return
            self._changed.clear()
            try:
                self.wait()
                self._checkpoint()
            except FruixError as error:
                _log.error("%s", error)
                if self._failure is not None:
                    return

    def _advance(self) -> None:
        last = self._database.last_id()
        self._sync_files(self._database.registered_after(self._mark) if not flags.HAS_SYNCFS else ())
        self._database.sync_log()
        self._database.set_mark(last)  # only after both: the mark promises what lies before it
        self._noted(last)
        self._mark = last

    def _sync_files(self, infos: Iterable[PathInfo]) -> None:
        try:
            if self._failure is not None:
                raise self._failure
            if not flags.sync_file_system(self._store):
                for info in infos:
                    sync_tree(self._store, os.fsencode(info.path.base))
                os.fsync(self._store)
        except OSError as error:
            self._failure = error
            raise StoreError(
                f"new files could not be written to disk: {error.strerror}",
                where="store",
                hint="check the disk, then start again: what was added lately will be checked",
            ) from error

    def _checkpoint(self) -> None:
        try:
            size = os.stat(self._database.file + "-wal").st_size
        except FileNotFoundError:
            return
        if size > _CHECKPOINT_SIZE:
            self._database.checkpoint()


def recover(database: Database, store: int, remove: Callable[[str], None]) -> list[StorePath]:
    """After an unclean stop.

    Drop what was registered after the mark and is not whole, with all that refers to it. A power cut
    meanwhile may bring back rows without files: they still lie behind the mark.

    Returns:
        The dropped paths, in order. After a clean stop nothing lies behind the mark, and this costs
        one query.
    """
    suspects = database.registered_after(database.mark())
    broken = [info.path for info in suspects if not is_whole(store, info)]
    if not broken:
        return []
    dropped = sorted(database.referrers_closure(broken))
    database.remove(dropped)
    for path in dropped:
        remove(path.base)
    return dropped


def is_whole(store: int, info: PathInfo) -> bool:
    """Whether the files of a path are what its info says."""
    try:
        found, size = nar_hash(store, os.fsencode(info.path.base))
    except (OSError, FruixError):
        return False
    return found == info.nar_hash and size == info.nar_size
