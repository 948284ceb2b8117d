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

Nearly all small files take the straight way (`small_files`); the careful way is for big ones, for
symlinks, clones, and whatever is out of the ordinary.

Cost: one read of each file, two of duplicates; of a small file some 30 µs, 60 of a duplicate.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import Protocol

from fruix.errors import ObjectRejectedError
from fruix.log import Log
from fruix.model.savings import NOTHING, Savings
from fruix.model.storepath import StorePath
from fruix.store import flags
from fruix.store.deduplication.at_work import ObjectAtWork, Staging
from fruix.store.deduplication.contents import SMALL, Contents, opened_contents
from fruix.store.deduplication.made_links import MadeLinks, link
from fruix.store.deduplication.rules import Rules
from fruix.store.deduplication.small_files import SmallFiles
from fruix.store.tree.closing import Closer
from fruix.store.tree.descriptors import CREATE_FILE
from fruix.store.tree.metadata import DIRECTORY_MODE, file_mode, finish_open, finish_times
from fruix.store.tree.walk import Kind, Node, walk

# What says that there can be no further name or entry.
_NO_ROOM = frozenset({errno.EMLINK, errno.ENOSPC, errno.EDQUOT, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP})
_log = Log(__name__)


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
        self._made = MadeLinks(rows.last_id())
        self._can_clone = True
        self._at_small_files = threading.Lock()
        self._closer = Closer()
        self._small = SmallFiles(self._made, self._closer, self._swap)

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
        with ExitStack() as undo:
            undo.callback(self._closer.flush)
            whole = ObjectAtWork(path, row, rules, undo, self._store, self._staging, archive_hash)
            try:
                with self._at_small_files:
                    self._files(whole, linked)
            except (FileNotFoundError, ObjectRejectedError) as error:
                # Collected meanwhile, or damaged, which is for `verify` to tell.
                _log.debug("not deduplicated: %s: %s", path, error)
            return Savings(whole.files, whole.freed, whole.left)

    def _files(self, whole: ObjectAtWork, linked: Collection[int]) -> None:
        rules = whole.rules
        with closing(walk(self._store, os.fsencode(whole.path.base))) as nodes:
            for node in nodes:
                if not _is_wanted(node, rules) or node.status.st_ino in linked:
                    continue
                if node.kind is Kind.FILE and node.status.st_size > SMALL:
                    with _released(self._at_small_files):
                        self._node(node, whole)
                else:
                    self._node(node, whole)

    def _node(self, node: Node, whole: ObjectAtWork) -> None:
        try:
            known: bytes | None = b"" if node.depth else whole.archive_hash
            if node.kind is Kind.FILE and node.status.st_size <= SMALL and not known:
                known = self._straight(node, whole)
            if known is not None:
                self._carefully(node, whole, known)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _log.info("left as it is: %s: %s", node.path, error.strerror)
            whole.left += 1

    def _straight(self, node: Node, whole: ObjectAtWork) -> bytes | None:
        try:
            return self._small.share(node, whole, self._clones(whole))
        except FileNotFoundError:  # the file, its link, or the directory of links
            return b""

    def _carefully(self, node: Node, whole: ObjectAtWork, known: bytes) -> None:
        with opened_contents(node.parent, node.name, node.kind, known, self._closer.close) as own:
            if own.is_canonical and not any(
                self._share(node, own, whole, last) for last in (False, False, True)
            ):
                whole.left += 1

    def _clones(self, whole: ObjectAtWork) -> bool:
        return self._can_clone and whole.rules.clones

    def _share(self, node: Node, own: Contents, whole: ObjectAtWork, last: bool) -> bool:
        """Make the file's link, or replace the file by it; False if that link was damaged, or is gone.

        A link, and their whole directory, may go at any moment: another thread finds it damaged, or
        a collector finds it unused. What is missing at the last try is the file itself.
        """
        links = whole.links()
        try:
            return self._made.make(links, own.key, own.parent, own.name, whole.row) or self._replace(
                links, node, own, whole
            )
        except FileNotFoundError:
            if last:
                raise
            whole.forget_links()
            return False

    def _replace(self, links: int, node: Node, own: Contents, whole: ObjectAtWork) -> bool:
        """Replace a file by its link; False if that was damaged, and is gone."""
        name = os.fsencode(own.key)
        with opened_contents(links, name, node.kind) as found:
            clones = self._clones(whole)
            if own.is_same_file(found) or (clones and own.shares_data(found)):
                return True
            if not own.equals(found):
                self._made.remove(links, found)
                return False
            with self._staging.place() as place:
                if not (clones and self._clone(found, place)):
                    link(links, name, self._staging.directory, place)
                whole.note()
                self._swap(place, node, whole.row, own.key)
        whole.replaced(own.status)
        return True

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

    def _swap(self, place: bytes, node: Node, row: int, key: str) -> None:
        """Put what lies at a place in the place of a node of the path of `row`, for the link `key`.

        The directory gets its times back, that of the last access as the walk found it. The store
        directory itself needs none.
        """
        parent, name, private = node.parent, node.name, self._staging.directory
        with self._steady(row, self._made.row_of(key)):
            try:
                os.rename(place, name, src_dir_fd=private, dst_dir_fd=parent)
            except PermissionError:  # without root
                os.fchmod(parent, 0o755)
                try:
                    os.rename(place, name, src_dir_fd=private, dst_dir_fd=parent)
                finally:
                    if node.depth:
                        os.fchmod(parent, DIRECTORY_MODE)
            if node.outer is not None:
                finish_times(parent, node.outer.status.st_atime_ns)


def _is_wanted(node: Node, rules: Rules) -> bool:
    if node.kind is Kind.SYMLINK:
        return rules.symlinks
    return node.kind is Kind.FILE and node.status.st_size >= rules.least


@contextmanager
def _released(lock: threading.Lock) -> Iterator[None]:
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
