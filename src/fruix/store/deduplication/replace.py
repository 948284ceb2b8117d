"""One object's files become links to those in `.links`, or share their data.

The hash of each file gives the name of its link (`links`). If there is no such link, one to this
file is made. Else the two are compared byte for byte, so that damage is never spread: a link that
isn't what its name says is deleted, and made anew from this file. Then the file is replaced, by one
rename, by a fresh file that shares the link's data where the file system has clones, else by a hard
link. Mode and time of the directory stay. Where a file can have no more names, or the disk has no
room, it is left as it is.

Nothing here asks for the lock of a path. All goes by descriptors: a collector or a repair moves a
tree away as a whole, and what is replaced in it afterwards goes with it.

A file may be replaced by one that is newer and not on disk yet. `Deduplicator` is given what keeps
the sync mark from passing one without the other (`Syncer.steady`).

Small files are a matter of the interpreter, which does one thing at a time: threads that share them
out take twice the processor time. So only one thread is at small files; big ones, whose hashing and
comparing needs no interpreter, go on beside it.

Cost: one read of each file, two of duplicates; some 60 µs a small file.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from typing import Protocol

from fruix.dataclass import dataclass
from fruix.errors import ObjectRejectedError
from fruix.log import Log
from fruix.model.savings import NOTHING, Savings
from fruix.model.storepath import StorePath
from fruix.store import flags
from fruix.store.deduplication.contents import SMALL, Contents, opened_contents
from fruix.store.deduplication.links import opened_links
from fruix.store.deduplication.mending import noted
from fruix.store.deduplication.rules import Rules
from fruix.store.tree.closing import Closer
from fruix.store.tree.descriptors import CREATE_FILE, lstat
from fruix.store.tree.metadata import DIRECTORY_MODE, file_mode, finish_open
from fruix.store.tree.walk import Kind, Node, walk

# What says that there can be no further name or entry.
_NO_ROOM = frozenset({errno.EMLINK, errno.ENOSPC, errno.EDQUOT, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP})
_log = Log(__name__)


class Staging(Protocol):
    """A private directory on the store's file system."""

    @property
    def directory(self) -> int:
        """It, open."""

    def place(self) -> AbstractContextManager[bytes]:
        """A fresh name there."""


class Rows(Protocol):
    """What is asked about the rows of paths; see `Database`."""

    def row_of(self, path: StorePath) -> int:
        """The id of a path's row; 0 when it is not registered."""

    def last_id(self) -> int:
        """The id of the newest row."""


class Deduplicator:
    """Deduplicates objects of one store. Thread-safe.

    One process at a time should do so: of links that another one makes meanwhile it isn't known
    whether they are on disk.
    """

    def __init__(
        self,
        store: int,
        staging: Staging,
        rows: Rows,
        steady: Callable[[int, int], AbstractContextManager[None]],
    ) -> None:
        """Arguments are the open parts of a store; `steady` is `Syncer.steady`."""
        self._store = store
        self._staging = staging
        self._rows = rows
        self._steady = steady
        self._earlier = rows.last_id()  # no older link is of a later row
        self._linking = threading.Lock()
        self._origins: dict[str, int] = {}  # link → row of the path that it was made from, since then
        self._can_clone = True
        self._small_files = threading.Lock()
        self._closer = Closer()

    def drain(self) -> None:
        """Return when what was replaced before is given back to the file system."""
        self._closer.drain()

    def close(self) -> None:
        """End what works in the background. Nothing may be deduplicated meanwhile, or afterwards."""
        self._closer.end()

    def deduplicate(
        self, path: StorePath, rules: Rules, linked: Collection[int] = (), archive_hash: bytes = b""
    ) -> Savings:
        """Deduplicate the files of a path; of one that is not valid (any more), nothing.

        Args:
            path: what is deduplicated.
            rules: how.
            linked: numbers of inodes that are known to have a link.
            archive_hash: the SHA-256 of the object's archive, if that was just made: it names the
                link of an object that is one file, which isn't read again then.

        Raises:
            OSError: as the system says.
            Interrupted: see `fruix.store.tree.interruption`. What was done stays.
        """
        row = self._rows.row_of(path)
        if not row:
            return NOTHING
        saved = NOTHING
        try:
            with (
                self._small_files,
                ExitStack() as undo,
                closing(walk(self._store, os.fsencode(path.base))) as nodes,
            ):
                whole = _Object(path, row, rules, undo, self._store, archive_hash)
                for node in nodes:
                    if _is_wanted(node, rules) and node.status.st_ino not in linked:
                        with nullcontext() if _is_small(node) else _released(self._small_files):
                            saved += self._node(node, whole)
        except (FileNotFoundError, ObjectRejectedError) as error:
            # Collected meanwhile, or damaged, which is for `verify` to tell.
            _log.debug("not deduplicated: %s: %s", path, error)
        return saved

    def _node(self, node: Node, whole: _Object) -> Savings:
        known = b"" if node.depth else whole.archive_hash
        with opened_contents(node.parent, node.name, node.kind, known, self._closer.close) as own:
            if not own.is_canonical:
                return NOTHING
            try:
                for last in (False, False, True):
                    if (saved := self._share(node, own, whole, last)) is not None:
                        return saved
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                _log.info("left as it is: %s: %s", node.path, error.strerror)
        return Savings(left=1)

    def _share(self, node: Node, own: Contents, whole: _Object, last: bool) -> Savings | None:
        """Make the file's link, or replace the file by it; None if that link was damaged, or is gone.

        A link, and their whole directory, may go at any moment: another thread finds it damaged, or
        a collector finds it unused. What is missing at the last try is the file itself.
        """
        links = whole.links()
        try:
            if self._make_link(links, own, whole.row):
                return NOTHING
            return self._replace(links, node, own, whole)
        except FileNotFoundError:
            if last:
                raise
            whole.forget_links()
            return None

    def _make_link(self, links: int, own: Contents, row: int) -> bool:
        """Make a link to a file; False if there is one of that name."""
        name = os.fsencode(own.key)  # hashes the file
        with self._linking:
            try:
                _link(own.parent, own.name, links, name)
            except FileExistsError:
                return False
            self._origins[own.key] = row
        return True

    def _remove_link(self, links: int, link: Contents) -> None:
        """Remove a link that is damaged, unless another thread has done so."""
        with self._linking:
            if lstat(links, link.name).st_ino == link.status.st_ino:
                _log.warning("link %s was damaged; it is made anew", os.fsdecode(link.name))
                os.unlink(link.name, dir_fd=links)

    def _replace(self, links: int, node: Node, own: Contents, whole: _Object) -> Savings | None:
        """Replace a file by its link; None if that was damaged, and is gone."""
        name = os.fsencode(own.key)
        with opened_contents(links, name, node.kind) as link:
            clones = whole.rules.clones and self._can_clone
            if own.is_same_file(link) or (clones and own.shares_data(link)):
                return NOTHING
            if not own.equals(link):
                self._remove_link(links, link)
                return None
            with self._staging.place() as place:
                if not (clones and self._clone(link, place)):
                    _link(links, name, self._staging.directory, place)
                whole.note(self._staging.directory)
                with self._steady(whole.row, self._origins.get(own.key, self._earlier)):
                    self._swap(place, node)
        return Savings(1, own.status.st_blocks * 512 if own.status.st_nlink == 1 else 0)

    def _clone(self, link: Contents, place: bytes) -> bool:
        """Make a fresh file that shares the data of a link's; False if the file system can't."""
        if link.descriptor < 0:
            return False
        target = os.open(place, CREATE_FILE, 0o600, dir_fd=self._staging.directory)
        try:
            if flags.clone(link.descriptor, target):
                finish_open(target, file_mode(bool(link.status.st_mode & 0o100)), link.status.st_atime_ns)
                return True
        finally:
            os.close(target)
        self._can_clone = False
        os.unlink(place, dir_fd=self._staging.directory)
        return False

    def _swap(self, place: bytes, node: Node) -> None:
        with _kept_metadata(node):
            try:
                os.rename(place, node.name, src_dir_fd=self._staging.directory, dst_dir_fd=node.parent)
            except PermissionError:  # without root
                os.fchmod(node.parent, 0o755)
                os.rename(place, node.name, src_dir_fd=self._staging.directory, dst_dir_fd=node.parent)


@dataclass(slots=True)
class _Object:
    """The object that is worked on, in the open directory `store`.

    `undo` closes what is open as long as that lasts.
    """

    path: StorePath
    row: int
    rules: Rules
    undo: ExitStack
    store: int
    archive_hash: bytes
    is_noted: bool = False
    descriptor: int = -1

    def links(self) -> int:
        """The open directory of links, which is opened for the first file that needs it."""
        if self.descriptor < 0:
            self.descriptor = self.undo.enter_context(opened_links(self.store))
        return self.descriptor

    def forget_links(self) -> None:
        """Open the directory of links anew for the next file: it may have been removed."""
        self.descriptor = -1

    def note(self, directory: int) -> None:
        """Before the first change, note on disk what is being changed."""
        if not self.is_noted:
            self.undo.enter_context(noted(directory, self.path.base))
            self.is_noted = True


def _is_wanted(node: Node, rules: Rules) -> bool:
    if node.kind is Kind.SYMLINK:
        return rules.symlinks
    return node.kind is Kind.FILE and node.status.st_size >= rules.least


def _is_small(node: Node) -> bool:
    return node.kind is Kind.SYMLINK or node.status.st_size <= SMALL


@contextmanager
def _released(lock: threading.Lock) -> Iterator[None]:
    lock.release()
    try:
        yield
    finally:
        lock.acquire()


def _link(parent: int, name: bytes, to: int, to_name: bytes) -> None:
    os.link(name, to_name, src_dir_fd=parent, dst_dir_fd=to, follow_symlinks=False)


@contextmanager
def _kept_metadata(node: Node) -> Iterator[None]:
    """Give the directory that holds a node its mode and time back. The store directory needs neither."""
    accessed = os.fstat(node.parent).st_atime_ns
    try:
        yield
    finally:
        if node.depth:
            finish_open(node.parent, DIRECTORY_MODE, accessed)
