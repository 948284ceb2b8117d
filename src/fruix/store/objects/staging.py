"""Where objects are made before they get their final name.

One private directory per process, on the store's file system.

It lies in the state directory (`staging/`), or, where a rename from there into the store isn't
possible, in the store (`.staging/`); either is closed to others (0700), so nobody sees an object
before its metadata is canonical, and giving it the final name is one rename. Its owner holds a
flock on it for life and removes it in the end: one that nobody holds is how the next start learns
that a process died with the store open (`leftovers`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

from fruix.errors import StoreError
from fruix.store import flags
from fruix.store.case_check import check_names
from fruix.store.leftovers import STAGING, near_name, session_name
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import CREATE_FILE, OPEN_DIRECTORY, lstat, open_directory
from fruix.store.tree.metadata import settle

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_IN_THE_WAY = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR})


class Staging:
    """This process's private directory.

    Thread-safe; `directory` and `store` are open descriptors.
    """

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
        for place in places:
            self._create(place, session_name(identity).encode())
            if self._reaches_store():
                break
            self.close()
        else:
            raise StoreError("nothing can be renamed into the store from anywhere", where=name)
        try:
            with self._near_directory() as near:
                check_names(near, name)
        except BaseException:
            self.close()
            raise

    def _create(self, place: str, name: bytes) -> None:
        with suppress(FileExistsError):
            os.mkdir(place, 0o700)
        self._name, self._place = name, os.open(place, OPEN_DIRECTORY)
        try:
            os.mkdir(name, 0o700, dir_fd=self._place)
            self.directory = open_directory(self._place, name)
            fcntl.flock(self.directory, fcntl.LOCK_EX)
            os.fsync(self._place)  # what it tells of after a power cut is more than what it holds
        except BaseException:
            os.close(self._place)
            raise

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
            os.rmdir(near, dir_fd=self.store)

    def close(self) -> None:
        """Remove the directory with all that was left in it."""
        delete_tree(self._place, self._name)
        os.close(self.directory)
        os.close(self._place)
        with suppress(OSError):  # in use by another process, or the state directory's
            os.rmdir(STAGING, dir_fd=self.store)

    @contextmanager
    def place(self) -> Iterator[bytes]:
        """A fresh name in `directory`; what still lies there at the end is deleted."""
        name = b"%d" % next(self._numbers)
        try:
            yield name
        except BaseException as error:
            delete_tree(self.directory, name)
            if isinstance(error, OSError) and error.errno in _FULL:
                error.filename = self._store_name  # by descriptor alone the kernel names nothing
            raise
        # After success it was published or is somebody's (`Staged`): no call is spent on finding
        # that out.

    def drop(self, name: bytes) -> None:
        """Delete what was made at a place after all."""
        delete_tree(self.directory, name)

    def publish(self, name: bytes, base: str, *, directory: bool = True) -> None:
        """Give a finished object its final name in the store, replacing whatever garbage lies there.

        `directory`: whether it may be one; for a plain file there is less to do.
        """
        final = os.fsencode(base)
        try:
            self._rename(name, final)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            self.remove(base)
            self._rename(name, final)
        if directory:
            settle(self.store, final)

    def replace(self, name: bytes, base: str) -> None:
        """Put a finished object where another one lies, which is deleted afterwards.

        In one step where the system can exchange names, else by two renames, with nothing at the
        name in between. The name is registered already, so the object has its final time before it
        gets there.
        """
        final = os.fsencode(base)
        with self._settled(name) as (directory, near):
            try:
                if flags.exchange(directory, near, self.store, final):
                    self._discard(directory, near)
                    return
            except FileNotFoundError:
                pass  # nothing lies there
            self.remove(base)
            os.rename(near, final, src_dir_fd=directory, dst_dir_fd=self.store)

    @contextmanager
    def _settled(self, name: bytes) -> Iterator[tuple[int, bytes]]:
        """Where a finished object can be renamed from without changing.

        A directory goes into the store, under a private name.

        After a crash the next start finds it there.
        """
        if not _is_directory(self.directory, name):
            yield self.directory, name
            return
        near = near_name()
        try:
            self._rename(name, near)
            settle(self.store, near)
            yield self.store, near
        except BaseException:
            self._discard(self.store, near)
            raise

    def _discard(self, directory: int, name: bytes) -> None:
        """Delete what lies at a name; it is gone from there at once, whatever its size."""
        with self.place() as place:
            try:
                os.rename(name, place, src_dir_fd=directory, dst_dir_fd=self.directory)
            except FileNotFoundError:
                return
            except PermissionError:
                _with_write_bit(directory, name, self.directory, place)
            delete_tree(self.directory, place)

    def _rename(self, name: bytes, final: bytes) -> None:
        try:
            os.rename(name, final, src_dir_fd=self.directory, dst_dir_fd=self.store)
        except PermissionError:
            # Without root, moving a directory needs its write bit (the entry `..` changes).
            _with_write_bit(self.directory, name, self.store, final)

    def retract(self, base: str, inode: int) -> None:
        """Take back a file that was published without a lock, unless it is somebody else's by now.

        Theirs has the same contents.
        """
        with self.place() as name:
            try:
                os.rename(os.fsencode(base), name, src_dir_fd=self.store, dst_dir_fd=self.directory)
            except FileNotFoundError:
                return
            # Looked at only where nobody else can reach it: between a look and an unlink theirs
            # could have come.
            if os.lstat(name, dir_fd=self.directory).st_ino == inode:
                os.unlink(name, dir_fd=self.directory)
            else:
                self._rename(name, os.fsencode(base))

    def remove(self, base: str) -> None:
        """Delete what lies at a final name; it is gone from there at once, whatever its size.

        Raises:
            StoreError: a file system is mounted there.
        """
        try:
            self._discard(self.store, os.fsencode(base))
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise StoreError("a file system is mounted on a store path", where=base) from error
            raise


def _is_directory(parent: int, name: bytes) -> bool:
    return stat.S_ISDIR(lstat(parent, name).st_mode)


def _with_write_bit(source: int, name: bytes, destination: int, new_name: bytes) -> None:
    descriptor = open_directory(source, name)
    try:
        mode = os.fstat(descriptor).st_mode & 0o7777
        os.fchmod(descriptor, mode | 0o200)
        try:
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=destination)
        finally:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
