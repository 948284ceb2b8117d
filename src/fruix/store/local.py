"""The store of this machine: one object for everything that `store/` does.

Any number of threads share one `LocalStore`. It is put together from parts with one task each:
`Database`, `Registrar`, `Staging`, `Adding`, `Syncer`, `TempRoots`, `PathLocks`; this file only
connects them. Several processes may have a store open (locks are files); temporary roots are seen
by their own process only.

Opening, in this order: directories; the lock of the whole store; database; if nobody else has the
store open, whether both belong together; the staging directory; and, again if nobody else has it
open, recovery of what was registered after the sync mark, and removal of what processes that died
left. Closing syncs, so that the next opening finds nothing to check.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from typing import Literal, Self

from fruix.errors import FruixError
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text_object import AddedText
from fruix.overriding import override
from fruix.store import durability, leftovers
from fruix.store.additions import StoredObjects
from fruix.store.claim import claim
from fruix.store.collection.gate import Gate
from fruix.store.collection.parts import Parts
from fruix.store.collection.stored import StoredCollection
from fruix.store.collection.temp_root_file import TempRootFile
from fruix.store.collection.temp_roots import TempRoots
from fruix.store.database import Database
from fruix.store.deduplication.links import tidy_links
from fruix.store.deduplication.mending import mend
from fruix.store.deduplication.rules import Rules
from fruix.store.deduplication.stored import StoredDeduplication
from fruix.store.derivation_cache import DerivationCache
from fruix.store.failed_paths import Failures
from fruix.store.layout import Layout
from fruix.store.leftovers import Swept
from fruix.store.locks import PathLocks, remove_stale
from fruix.store.objects.add import Adding
from fruix.store.objects.staging import Staging
from fruix.store.outputs.stored import StoredOutputs
from fruix.store.owner import StoreLock
from fruix.store.presence import Presence, Sample
from fruix.store.registration import Registrar, Texts
from fruix.store.replacement import Replacements, settle
from fruix.store.room import NO_LIMITS, Limits, Room
from fruix.store.tree.descriptors import open_chain
from fruix.store.tree.plain_dump import PlainDump
from fruix.store.verification.stored import StoredVerification

Durability = Literal["background", "strict"]


class LocalStore(StoredObjects, StoredOutputs, StoredVerification, StoredDeduplication, StoredCollection):
    """A store on this machine's disk; implements `Store`. A context manager."""

    def __init__(
        self,
        layout: Layout,
        *,
        durability: Durability = "background",
        limits: Limits = NO_LIMITS,
        accept: bool = False,
        sign: Callable[[PathInfo], PathInfo] = lambda info: info,
        deduplication: Rules | None = None,
    ) -> None:
        """Nothing is touched before `open`.

        Args:
            layout: where the parts lie.
            durability: `background`: what is registered is on disk some seconds later; `strict`:
                before the call returns.
            limits: for what is added.
            accept: take the store directory for this database, whatever lies there, whosever it was.
            sign: adds signatures to what is registered by `register`, which is what was built here.
            deduplication: what of each new path is deduplicated, in the background.
        """
        self._accept = accept
        self._sign = sign
        self._rules = deduplication
        self._room = Room((layout.store, layout.state), limits)
        self.layout = layout
        self.durability = durability
        self.temp_roots = TempRoots()
        self.recovered: list[StorePath] = []  # what the last `open` had to drop
        self.swept = Swept()  # what it found left over
        self.database = Database(layout.database, layout.store)
        self.failures = Failures(self.database)
        self._parsed = DerivationCache()
        self._registrar = Registrar(self.database, self.derivation_text, self._parsed)
        self._opened = ExitStack()
        self._descriptor = -1

    @property
    def directory(self) -> str:
        """The store directory, part of every path."""
        return self.layout.store

    # Opening and closing

    def open(self) -> Self:
        """Open the store, creating what is missing, and recover from an unclean stop.

        Raises:
            StoreError: directories or database not usable.
        """
        with ExitStack() as opened:
            self.layout.create()
            self._descriptor = open_chain(self.layout.store)
            opened.callback(self._let_go)
            self._locks = open_chain(self.layout.locks)
            opened.callback(os.close, self._locks)
            lock = StoreLock(self.layout.store, self.layout.state, os.path.dirname(self.layout.database))
            opened.callback(lock.close)
            self.database.open()
            opened.callback(self.database.close)
            self._begin(lock, opened)
            self._syncer = durability.Syncer(self.database, self._descriptor, lock.note)
            self._syncer.start()
            opened.callback(self._syncer.stop)
            self._begin_deduplication(self._staging, self._syncer, opened)
            self._open_collection(opened)
            self._replacements = Replacements(self.database, self._syncer)
            self._begin_adding()
            read = self.layout.store, self.layout.database
            self._presence = Presence(read, (lock.path, self._staging.path))
            self._sample = Sample(self._descriptor, self.database, lambda: self._syncer.mark)
            self._opened = opened.pop_all()
        return self

    def _let_go(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _begin(self, lock: StoreLock, opened: ExitStack) -> None:
        """Make the staging directory; if nobody else has the store open, look after a crash first."""
        if lock.alone:
            claim(lock, self.database, self._descriptor, accept=self._accept)
        identity = self.database.identity
        self._staging = Staging(self._descriptor, self.layout.store, self.layout.staging, identity)
        opened.callback(self._staging.close)
        if lock.alone:
            self._recover()
            lock.share()

    def _open_collection(self, opened: ExitStack) -> None:
        gate = Gate(self.layout.state)
        opened.callback(gate.close)
        file = TempRootFile(self.layout.temproots)
        opened.callback(file.close)
        self.temp_roots.open(gate, file)
        opened.callback(self.temp_roots.close)
        self._parts = Parts(
            self.layout,
            self._descriptor,
            self.database,
            gate,
            self.temp_roots,
            file.name,
            self._staging,
            self._path_locks,
            self._locks,
            self._syncer.forget_noted,
            lambda: tidy_links(self._descriptor, keep=self.layout.has_links),
        )

    def _recover(self) -> None:
        """Undo what processes left that died with the store open. Nobody else has it open."""
        remove = self._staging.remove
        settle(self.database, self._descriptor)
        self.recovered = durability.recover(self.database, self._descriptor, remove)
        crashed = leftovers.crashed_sessions(self.layout.staging)
        # Who says that the store is this database's, whatever it knows, has not said that the rest
        # shall go.
        self.swept = leftovers.sweep(self._descriptor, self.database, () if self._accept else crashed, remove)
        mend(self._descriptor, crashed)
        remove_stale(self._locks)
        leftovers.forget(crashed)

    def close(self) -> None:
        """Bring everything to disk and let go of all files. No other call may be running."""
        self._opened.close()

    def lost(self) -> str:
        """What of the open store is gone from its place, or has another's name now; empty if nothing is.

        After a `reopen` that failed, what could not be opened.
        """
        if self._descriptor < 0:
            return self.layout.store
        return self._presence.lost() or (self.layout.store if self._sample.is_gone() else "")

    def is_same(self, *, seen: bool = False) -> bool:
        """Whether its objects and the database are in their places: what that told before can be told again.

        Work on the store needs more, see `lost`. `seen`: the caller looks for objects. Costs 2 µs.
        """
        return self._descriptor >= 0 and self._presence.is_readable() and (seen or not self._sample.is_gone())

    def reopen(self) -> None:
        """Let go of a store that was removed, and open what has its names now. No other call may be running.

        Raises:
            StoreError: as `open`. The store is closed then; call this again.
        """
        if self._descriptor >= 0:
            self._syncer.abandon()
            with suppress(OSError, FruixError):  # what it would tidy up is gone
                self.close()
        self.open()

    def __enter__(self) -> Self:
        return self if self._descriptor >= 0 else self.open()

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Reading

    @override
    def read_derivation(self, path: StorePath) -> Derivation:
        self._require(path)
        return self.valid_derivation(path)

    @override
    def nar(self, path: StorePath) -> Iterator[bytes]:
        self._require(path)
        return iter(self.archive(path))

    def archive(self, path: StorePath) -> PlainDump:
        """The same of a path that is known to be valid."""
        return PlainDump(self._descriptor, os.fsencode(path.base), path.base)

    def real(self, path: StorePath) -> str:
        """The name under which the host finds a path's files."""
        return f"{self.layout.store}/{path.base}"

    # Registering

    def register(self, infos: Sequence[PathInfo]) -> None:
        """Make paths valid whose files are in place: all or none.

        Raises:
            InvalidPathError: a reference is neither valid nor among them.
            ReferenceCycleError: they refer to each other in a circle.
            BadDerivationError: a `.drv` that does not hold what it should.
            ObjectRejectedError: a content address that does not fit its path.
        """
        self._register([self._sign(info) for info in infos])

    def _begin_adding(self) -> None:
        self._adding = Adding(
            self.directory,
            staging=self._staging,
            room=self._room,
            roots=self.temp_roots,
            locks=self._path_locks,
            valid=self.database.is_valid_yet,
            valid_of=self.valid_paths,
            there=self.is_there,
            register=partial(self._register, addressed=True),
            replacing=self.replacing,
        )
        self._new_texts = self._adding.new_texts(self._register_text)

    def _register_text(self, text: AddedText, contents: bytes, publish: Callable[[], None]) -> None:
        self._registrar.register_text(text, contents, publish)
        self._syncer.changed()
        self._deduplicate_later((text,))

    def _register(self, infos: Sequence[PathInfo], texts: Texts = None, *, addressed: bool = False) -> None:
        self._registrar.register(infos, addressed=addressed, texts=texts)
        self._syncer.changed()
        self._deduplicate_later(infos)
        if self.durability == "strict":
            self._syncer.wait()

    def replacing(self, info: PathInfo) -> AbstractContextManager[None]:
        """Around giving other contents to a valid path and registering them; see `Replacements`."""
        return self._replacements.replacing(info)

    # Locks

    def lock_paths(self, paths: Iterable[StorePath]) -> PathLocks:
        """Lock paths that are to be made; waits. Use it as a context manager."""
        locks = self._path_locks()
        locks.acquire(paths, wait=True)
        return locks

    def try_lock_paths(self, paths: Iterable[StorePath]) -> PathLocks | None:
        """The same without waiting: None when one of the paths is locked by somebody else."""
        locks = self._path_locks()
        return locks if locks.acquire(paths, wait=False) else None
