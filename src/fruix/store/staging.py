"""Where objects are made before they get their final name: one private directory per process, inside the store.

`<store>/.tmp-<random>` has mode 0700, so nobody sees an object before its metadata is canonical, and lies in the store's file
system, so that giving the final name is one rename. Its owner holds a flock on it for life; whoever opens the store later
removes such directories whose lock is free (what was in them is garbage of a dead process).
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

from fruix.errors import StoreError
from fruix.store import flags
from fruix.store.names import check_names
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import NO_DIRECTORY, OPEN_DIRECTORY, open_directory
from fruix.store.tree.metadata import settle

PREFIX = b".tmp-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_IN_THE_WAY = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR})


class Staging:
    """This process's private directory. Thread-safe; `directory` and `store` are open descriptors."""

    def __init__(self, store: int, name: str) -> None:
        """Make the directory in the store that is open as `store` (and called `name`), after removing those of dead processes.

        Raises:
            StoreError: the file system doesn't keep names as they are.
        """
        self.store = store
        self._store_name = name
        self._numbers = count()
        self._sweep()
        self._name, self.directory = self._create()
        try:
            check_names(self.directory, name)
        except BaseException:
            self.close()
            raise

    def _create(self) -> tuple[bytes, int]:
        while True:
            name = PREFIX + secrets.token_hex(8).encode()
            os.mkdir(name, 0o700, dir_fd=self.store)
            with suppress(FileNotFoundError):  # swept away by another process before it was locked
                descriptor = open_directory(self.store, name)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:
                    return name, descriptor
                os.close(descriptor)

    def _sweep(self) -> None:
        with os.scandir(self.store) as entries:
            found = [
                os.fsencode(entry.name) for entry in entries if os.fsencode(entry.name).startswith(PREFIX)
            ]
        for name in found:
            try:
                descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=self.store)
            except OSError as error:
                if error.errno in NO_DIRECTORY:  # a file that a directory has replaced
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=self.store)
                elif error.errno != errno.ENOENT:
                    raise
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                delete_tree(self.store, name)
            except (BlockingIOError, FileNotFoundError):
                continue  # its owner lives, or another process is sweeping too
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Remove the directory with all that was left in it."""
        delete_tree(self.store, self._name)
        os.close(self.directory)

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
        # After success it was published or is somebody's (`Staged`): no call is spent on finding that out.

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

        In one step where the system can exchange names, else by two renames, with nothing at the name
        in between. The name is registered already, so the object has its final time before it gets there.
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
        """Where a finished object can be renamed from without changing: a directory goes into the store, under a private name.

        After a crash `_sweep` finds it there; until then a lock keeps other processes from that.
        """
        lock = _lock_directory(self.directory, name)
        if lock is None:
            yield self.directory, name
            return
        near = PREFIX + secrets.token_hex(8).encode()
        try:
            self._rename(name, near)
            settle(self.store, near)
            yield self.store, near
        except BaseException:
            self._discard(self.store, near)
            raise
        finally:
            os.close(lock)

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
        """Take back a file that was published without a lock, unless it is somebody else's by now: theirs has the same contents."""
        with self.place() as name:
            try:
                os.rename(os.fsencode(base), name, src_dir_fd=self.store, dst_dir_fd=self.directory)
            except FileNotFoundError:
                return
            # Looked at only where nobody else can reach it: between a look and an unlink theirs could have come.
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


def _lock_directory(parent: int, name: bytes) -> int | None:
    """A directory, open and locked; None for anything else."""
    try:
        descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in NO_DIRECTORY:
            return None
        raise
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


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
