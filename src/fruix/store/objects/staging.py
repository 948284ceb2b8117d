"""Where objects are made before they get their final name.

One private directory per process, on the store's file system.

It lies in the state directory (`staging/`), or, where a rename from there into the store isn't
possible, beside the store (`.store.staging/`) or, as the last resort, in it (`.staging/`); each is
closed to others (0700), so nobody sees an object before its metadata is canonical, and giving it the
final name is one rename. Its owner holds a flock on it for life and removes it in the end: one that
nobody holds is how the next start learns that a process died with the store open, or could not
remove something (`leftovers`).
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count

from fruix.errors import StoreError
from fruix.store import flags
from fruix.store.case_check import check_names
from fruix.store.leftovers import near_name, session_name
from fruix.store.tree.delete import delete_tree, move_away
from fruix.store.tree.descriptors import CREATE_FILE, OPEN_DIRECTORY, move, open_directory
from fruix.store.tree.metadata import settle
from fruix.store.tree.syncing import sync_object

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_HERE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_IN_THE_WAY = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR})


class Staging:
    """This process's private directory. Thread-safe; `directory` and `store` are open descriptors."""

    def __init__(self, store: int, name: str, places: Sequence[str], identity: str) -> None:
        """Make the directory, and have that on disk.

        Args:
            store: the open store directory.
            name: its name.
            places: the directories in which it may be made (`Layout.staging`), the best first.
            identity: the store's.

        Raises:
            StoreError: the file system doesn't keep names as they are.
        """
        self.store = store
        self._store_name = name
        self._numbers = count()
        self._leaves_something = False
        for place in places:
            if not self._create(place, session_name(identity).encode()):
                continue
            try:
                if self._reaches_store():
                    with self._near_directory() as near:
                        check_names(near, name)
                    return
            except BaseException:
                self.close()
                raise
            self.close()
        raise StoreError("nothing can be renamed into the store from anywhere", where=name)

    def _create(self, place: str, name: bytes) -> bool:
        """False if this user can't make it there, or what has its name is somebody else's."""
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno in _NOT_HERE:
                return False
            raise
        self.path = f"{place}/{os.fsdecode(name)}"
        self._name, self._place = name, os.open(place, OPEN_DIRECTORY)
        if os.fstat(self._place).st_uid != os.geteuid():
            os.close(self._place)
            return False
        try:
            os.mkdir(name, 0o700, dir_fd=self._place)
            self.directory = open_directory(self._place, name)
            fcntl.flock(self.directory, fcntl.LOCK_EX)
            os.fsync(self._place)  # what it tells of after a power cut is more than what it holds
        except BaseException:
            delete_tree(self._place, name)
            os.close(self._place)
            raise
        return True

    def _reaches_store(self) -> bool:
        """Whether what is made here can get into the store by one rename.

        Tried, since quotas of projects forbid it, too.
        """
        near = near_name()
        os.close(os.open(b"reach", CREATE_FILE, 0o600, dir_fd=self.directory))
        try:
            os.rename(b"reach", near, src_dir_fd=self.directory, dst_dir_fd=self.store)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        with self._removing():
            os.unlink(near, dir_fd=self.store)
        return True

    @contextmanager
    def _near_directory(self) -> Iterator[int]:
        """An empty directory in the store, for a moment."""
        near = near_name()
        os.mkdir(near, 0o700, dir_fd=self.store)
        try:
            descriptor = open_directory(self.store, near)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        finally:
            with self._removing():
                delete_tree(self.store, near)

    def close(self) -> None:
        """Remove the directory with all that was left in it.

        It stays where something in the store could not be removed: the next start looks for that.
        """
        if not self._leaves_something:
            os.fsync(self.store)  # first what it would tell of
            delete_tree(self._place, self._name)
        os.close(self.directory)
        os.close(self._place)
        place = os.path.dirname(self.path)
        if os.path.basename(place).startswith("."):  # not the state directory's
            with suppress(OSError):  # in use by another process
                os.rmdir(place)

    def place(self) -> AbstractContextManager[bytes]:
        """A fresh name in `directory`; what lies there after an error is deleted.

        After success it was published or is somebody's (`Staged`): no call is spent on finding that out.
        """
        return _Place(self.directory, b"%d" % next(self._numbers), self._store_name)

    def drop(self, name: bytes, freed: Callable[[os.stat_result], None] | None = None) -> None:
        """Delete what was made at a place after all; `freed` as of `delete_tree`."""
        delete_tree(self.directory, name, freed)

    def publish(self, name: bytes, base: str, *, directory: bool = True) -> None:
        """Give a finished object its final name in the store, replacing whatever garbage lies there.

        `directory`: whether it may be one; for a plain file there is less to do.
        """
        final = base.encode("ascii")
        try:
            move(self.directory, name, self.store, final)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            self.remove(base)
            move(self.directory, name, self.store, final)
        if directory:
            settle(self.store, final)

    def replace(self, name: bytes, base: str) -> None:
        """Put a finished object where another one lies, which goes when the new one is on disk.

        In one step where names can be exchanged, else by two renames (overlayfs: deletion, rename).
        The name is registered, so the object has its final time before it gets there.
        """
        final = os.fsencode(base)
        with self._settled(name) as near:
            sync_object(self.store, near)
            try:
                if flags.exchange(self.store, near, self.store, final):
                    os.fsync(self.store)
                    self._discard(self.store, near)
                    return
            except OSError as error:  # nothing lies there, or it can't be moved (overlayfs)
                if error.errno not in {errno.ENOENT, errno.EXDEV}:
                    raise
            os.fsync(self.store)  # the next start looks for the new one there, if it finds nothing here
            with self._moved_away(self.store, final):
                os.rename(near, final, src_dir_fd=self.store, dst_dir_fd=self.store)
                os.fsync(self.store)

    @contextmanager
    def _settled(self, name: bytes) -> Iterator[bytes]:
        """Move a finished object into the store, under a private name, and yield that.

        It can be renamed from there without changing; after a crash the next start finds it there.
        """
        near = near_name()
        try:
            move(self.directory, name, self.store, near)
            settle(self.store, near)
            yield near
        except BaseException:
            self._discard(self.store, near)
            raise

    def _discard(self, directory: int, name: bytes) -> None:
        """Delete what lies at a name; it is gone from there at once, whatever its size."""
        with self._moved_away(directory, name):
            pass

    @contextmanager
    def _moved_away(self, directory: int, name: bytes) -> Iterator[None]:
        """Move what lies at a name to where nobody sees it, and delete it at the end."""
        with self.place() as place:
            self._move_here(directory, name, place)
            yield
            delete_tree(self.directory, place)

    def _move_here(self, directory: int, name: bytes, place: bytes) -> bool:
        """False if there is nothing."""
        try:
            with self._removing():
                move_away(directory, name, self.directory, place)
        except FileNotFoundError:
            return False
        return True

    def take(self, base: str) -> bytes | None:
        """Move what lies at a final name to a place here, to be deleted by `drop`; None if nothing does.

        Raises:
            StoreError: a file system is mounted there.
        """
        place = b"%d" % next(self._numbers)
        with _explained(base):
            return place if self._move_here(self.store, os.fsencode(base), place) else None

    @contextmanager
    def _removing(self) -> Iterator[None]:
        """Around the removal of a name: remember when it stays."""
        try:
            yield
        except FileNotFoundError:
            raise
        except BaseException:
            self._leaves_something = True
            raise

    def retract(self, base: str, inode: int) -> None:
        """Take back a file that was published without a lock, unless it is somebody else's by now.

        Theirs has the same contents.
        """
        with self.place() as name:
            try:
                with self._removing():
                    os.rename(os.fsencode(base), name, src_dir_fd=self.store, dst_dir_fd=self.directory)
            except FileNotFoundError:
                return
            # Looked at only where nobody else can reach it: between a look and an unlink theirs
            # could have come.
            if os.lstat(name, dir_fd=self.directory).st_ino == inode:
                os.unlink(name, dir_fd=self.directory)
            else:
                move(self.directory, name, self.store, os.fsencode(base))

    def remove(self, base: str) -> None:
        """Delete what lies at a final name; it is gone from there at once, whatever its size.

        Raises:
            StoreError: a file system is mounted there.
        """
        with _explained(base):
            self._discard(self.store, os.fsencode(base))


class _Place:  # not made of a generator, which costs more
    """Around the use of a name."""

    def __init__(self, directory: int, name: bytes, store: str) -> None:
        self._directory, self._name, self._store = directory, name, store

    def __enter__(self) -> bytes:
        return self._name

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            delete_tree(self._directory, self._name)
            if isinstance(error, OSError) and error.errno in _FULL:
                error.filename = self._store  # by descriptor alone the kernel names nothing


@contextmanager
def _explained(base: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise StoreError("a file system is mounted on a store path", where=base) from error
        raise
