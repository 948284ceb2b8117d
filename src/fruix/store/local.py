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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal, Self

from fruix.errors import (
    InvalidPathError,
)
from fruix.model.contentaddress import Method
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.store import durability, leftovers
from fruix.store.claim import claim
from fruix.store.database import Database
from fruix.store.derivation_cache import DerivationCache, check_size, read_file
from fruix.store.failed_paths import Failures
from fruix.store.layout import Layout
from fruix.store.leftovers import Swept
from fruix.store.locks import PathLocks, remove_stale
from fruix.store.objects import content_hashes
from fruix.store.objects.add import Adding
from fruix.store.objects.staging import Staging
from fruix.store.outputs.stored import StoredOutputs
from fruix.store.owner import StoreLock
from fruix.store.registration import Registrar
from fruix.store.room import NO_LIMITS, Limits, Room
from fruix.store.roots import add_indirect_root
from fruix.store.temproots import TempRoots
from fruix.store.tree.descriptors import OPEN_DIRECTORY, lstat, open_chain
from fruix.store.tree.dump import dump
from fruix.store.verify import StoreUpkeep

Durability = Literal["background", "strict"]


class LocalStore(StoredOutputs, StoreUpkeep):
    """A store on this machine's disk; implements `Store`. A context manager."""

    def __init__(
        self,
        layout: Layout,
        *,
        durability: Durability = "background",
        limits: Limits = NO_LIMITS,
        accept: bool = False,
    ) -> None:
        """Nothing is touched before `open`.

        Args:
            layout: where the parts lie.
            durability: `background`: what is registered is on disk some seconds later; `strict`:
                before the call returns.
            limits: for what is added.
            accept: take the store directory for this database, whatever lies there and whose ever
                it was.
        """
        self._accept = accept
        self._room = Room((layout.store, layout.state), limits)
        self.layout = layout
        self.durability = durability
        self.temp_roots = TempRoots()
        self.recovered: list[StorePath] = []  # what the last `open` had to drop
        self.swept = Swept()  # what it found left over
        self.database = Database(layout.database, layout.store)
        self.failures = Failures(self.database)
        self._parsed = DerivationCache()
        self._registrar = Registrar(self.database, self._derivation_bytes, self._parsed)
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
            opened.callback(os.close, self._descriptor)
            self._locks = open_chain(self.layout.locks)
            opened.callback(os.close, self._locks)
            lock = StoreLock(self.layout.store, self.layout.state, os.path.dirname(self.layout.database))
            opened.callback(lock.close)
            self.database.open()
            opened.callback(self.database.close)
            if lock.alone:
                claim(lock, self.database, self._descriptor, accept=self._accept)
            self._staging = Staging(
                self._descriptor, self.layout.store, self.layout.staging, self.database.identity
            )
            opened.callback(self._staging.close)
            if lock.alone:
                self._recover()
                lock.share()
            self._syncer = durability.Syncer(self.database, self._descriptor, lock.note)
            self._syncer.start()
            opened.callback(self._syncer.stop)
            self._adding = Adding(
                self.directory,
                staging=self._staging,
                room=self._room,
                roots=self.temp_roots,
                locks=self._path_locks,
                valid=self.is_valid,
                there=self.is_there,
                register=self._register_added,
            )
            self._opened = opened.pop_all()
        return self

    def _recover(self) -> None:
        """Undo what processes left that died with the store open. Nobody else has it open."""
        remove = self._staging.remove
        self.recovered = durability.recover(self.database, self._descriptor, remove)
        crashed = leftovers.crashed_sessions(self.layout.staging)
        # Who says that the store is this database's, whatever it knows, has not said that the rest
        # shall go.
        self.swept = leftovers.sweep(self._descriptor, self.database, () if self._accept else crashed, remove)
        remove_stale(self._locks)
        leftovers.forget(crashed)

    def close(self) -> None:
        """Bring everything to disk and let go of all files. No other call may be running."""
        self._opened.close()
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self if self._descriptor >= 0 else self.open()

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Reading

    @override
    def read_derivation(self, path: StorePath) -> Derivation:
        self._require(path)
        return self._parsed.get(path, self._derivation_bytes)

    @override
    def nar(self, path: StorePath) -> Iterator[bytes]:
        self._require(path)
        return dump(self._descriptor, os.fsencode(path.base), where=path.base)

    def real(self, path: StorePath) -> str:
        """The name under which the host finds a path's files."""
        return f"{self.layout.store}/{path.base}"

    def _derivation_bytes(self, path: StorePath) -> bytes:
        return read_file(self._descriptor, path, self._room.limits.max_derivation)

    # Adding

    @override
    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        check_size(name, len(contents), self._room.limits.max_derivation)
        return self._adding.text(name, contents, references)[0]

    def add_text_info(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> PathInfo:
        """The same, for those who want all about the path."""
        check_size(name, len(contents), self._room.limits.max_derivation)
        path, added = self._adding.text(name, contents, references)
        info = added or self.path_info(path)
        if info is None:
            raise InvalidPathError(str(path), hint="it was removed while it was being added: try again")
        return info

    @override
    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        directory, base = os.path.split(source.rstrip("/"))
        # The caller's own path: links on the way to it are his; from here on none is followed.
        parent = os.open(directory or ".", OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        try:
            if method is Method.NAR:
                stream, size = dump(parent, os.fsencode(base), where=source), None
            else:
                size = lstat(parent, os.fsencode(base)).st_size
                stream = content_hashes.flat_chunks(parent, os.fsencode(base), where=source)
            return self._adding.dump(name, method, algorithm, stream, (), repair=False, size=size).path
        finally:
            os.close(parent)

    def add_dump(
        self,
        name: str,
        method: Method,
        algorithm: str,
        chunks: Iterable[bytes],
        references: Sequence[StorePath] = (),
        *,
        repair: bool = False,
    ) -> PathInfo:
        """Add contents whose path follows from them.

        An archive for `NAR`, a plain file's bytes for the other methods.

        Raises:
            BadNarError: not a canonical archive.
            BadStorePathError: a name that no path can have.
            InvalidPathError: a reference is not valid.
            ObjectRejectedError: a method that is not supported.
        """
        return self._adding.dump(name, method, algorithm, chunks, references, repair=repair)

    @override
    def add_nar(self, info: PathInfo, chunks: Iterable[bytes], *, repair: bool = False) -> None:
        self._adding.nar(info, chunks, repair=repair)

    @override
    def add_signatures(self, path: StorePath, signatures: Iterable[str]) -> None:
        self._room.spend(0)
        self._registrar.add_signatures(path, signatures)
        self._syncer.changed()

    def register(self, infos: Sequence[PathInfo]) -> None:
        """Make paths valid whose files are in place: all or none.

        Raises:
            InvalidPathError: a reference is neither valid nor among them.
            ReferenceCycleError: they refer to each other in a circle.
            BadDerivationError: a `.drv` that does not hold what it should.
            ObjectRejectedError: a content address that does not fit its path.
        """
        self._register(infos)

    def _register(self, infos: Sequence[PathInfo], *, addressed: bool = False) -> None:
        self._registrar.register(infos, addressed=addressed)
        self._syncer.changed()
        if self.durability == "strict":
            self._syncer.wait()

    def register_again(self, infos: Sequence[PathInfo]) -> None:
        """The same for paths that were valid and got new contents.

        Returns when those are on disk.
        """
        self.register(infos)
        self._sync_replaced(infos)

    def _register_added(self, info: PathInfo, again: bool) -> None:
        self._register([info], addressed=True)
        if again:
            self._sync_replaced([info])

    def _sync_replaced(self, infos: Sequence[PathInfo]) -> None:
        for info in infos:
            self._syncer.wait_for_files(info)  # its row lies before the mark: no start would check it again

    def sync(self) -> None:
        """Return when everything that is registered now is on disk."""
        self._syncer.wait()

    # Locks and roots

    def lock_paths(self, paths: Iterable[StorePath]) -> PathLocks:
        """Lock paths that are to be made; waits. Use it as a context manager."""
        locks = self._path_locks()
        locks.acquire(paths, wait=True)
        return locks

    def try_lock_paths(self, paths: Iterable[StorePath]) -> PathLocks | None:
        """The same without waiting: None when one of the paths is locked by somebody else."""
        locks = self._path_locks()
        return locks if locks.acquire(paths, wait=False) else None

    @override
    def add_temp_root(self, path: StorePath) -> None:
        self.temp_roots.add(path)

    @override
    def add_indirect_root(self, link: str) -> None:
        self._room.spend(0)
        add_indirect_root(self.layout.gcroots, link)
