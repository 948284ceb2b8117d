"""Deleting a tree that somebody hostile made: constant depth, constant descriptors, no way out.

Works by flattening: every sub-directory found is renamed up into the top directory and emptied from
there, so neither the depth of the tree nor the length of its paths matters. What is renamed is
looked at only afterwards, under its new name which nobody else knows; a rename moves a symlink
itself, and it fails on a mount point (EBUSY), so the deletion can neither be led astray by a swap
nor descend into something mounted (C2 of the threats in docs/isolation.md). A directory of another
device is refused. What can't be renamed (a directory of a lower layer of overlayfs) is emptied where
it lies.

Cost: one unlink per file, one rmdir per empty directory, open + list + rename + two rmdir per other
one; as fast as `shutil.rmtree` for ordinary trees.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import count

from fruix.errors import StoreError
from fruix.store import flags
from fruix.store.tree.descriptors import NO_DIRECTORY, OPEN_DIRECTORY, lstat, move
from fruix.store.tree.open_directories import OpenDirectories

_ROUNDS = 1000  # how often a directory may turn out not to be empty (somebody still writes) before we give up


def delete_tree(parent: int, name: bytes, freed: Callable[[os.stat_result], None] | None = None) -> None:
    """Delete whatever lies at `name` in the open directory `parent`; nothing there is fine.

    Args:
        parent: the open directory.
        name: in it.
        freed: told of each file that goes, as it was before; it costs an lstat a file.

    Raises:
        StoreError: a file system is mounted inside, or somebody keeps adding files.
        OSError: as the system says.
    """
    try:
        status = lstat(parent, name)
    except FileNotFoundError:
        return
    flags.clear(parent, name, status)
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=parent)
        if freed is not None:
            freed(status)
        return
    if status.st_dev != os.fstat(parent).st_dev:
        raise StoreError("refusing to delete across file systems", where=os.fsdecode(name))
    top = _open(parent, name)
    try:
        _Flattening(top, freed).run()
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def move_away(parent: int, name: bytes, to: int, to_name: bytes) -> None:
    """Rename what is to be deleted; or delete it where it lies, and leave an empty directory at `to_name`.

    The latter where overlayfs can't move a directory, since it is of a lower layer.
    """
    try:
        move(parent, name, to, to_name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        delete_tree(parent, name)
        os.mkdir(to_name, 0o700, dir_fd=to)


class _Flattening:
    def __init__(self, top: int, freed: Callable[[os.stat_result], None] | None) -> None:
        self._top = top
        self._freed = freed
        self._device = os.fstat(top).st_dev
        self._queue: list[bytes] = []
        self._names = _fresh_names()

    def run(self) -> None:
        os.fchmod(self._top, 0o700)
        for _ in range(_ROUNDS):
            self._empty(self._top)
            while self._queue:
                self._take(self._queue.pop())
            if not _has_entries(self._top):
                return
        raise StoreError("directory is being written to while it is deleted")

    def _take(self, name: bytes) -> None:
        """Empty and remove one of the directories that were moved up (or whatever was swapped in for it)."""
        try:
            inside = _open(self._top, name)
        except OSError as error:
            if error.errno not in NO_DIRECTORY:
                raise
            os.unlink(name, dir_fd=self._top)
            return
        try:
            status = os.fstat(inside)
            if status.st_dev != self._device:
                raise StoreError("refusing to delete across file systems", where=os.fsdecode(name))
            if status.st_mode & 0o700 != 0o700:
                os.fchmod(inside, 0o700)
            self._empty(inside)
        finally:
            os.close(inside)
        try:
            os.rmdir(name, dir_fd=self._top)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            # Entries may be skipped when a directory changes while it is listed; `run` looks again.

    def _empty(self, directory: int) -> None:
        """Unlink the files of a directory and move its sub-directories up."""
        with os.scandir(directory) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    self._remove(directory, name)
                else:
                    self._unlink(directory, name)

    def _remove(self, directory: int, name: bytes) -> None:
        """An empty directory goes at once.

        Renaming is dear where it rewrites the directory's `..` (UFS).
        """
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError:  # whatever it is, moving it up finds out
            self._move_up(directory, name)

    def _unlink(self, directory: int, name: bytes) -> None:
        try:
            if self._freed is not None:
                self._freed(lstat(directory, name))
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            # A directory by now, or (FreeBSD) a file with an immutable flag.
            status = lstat(directory, name)
            if stat.S_ISDIR(status.st_mode):
                self._move_up(directory, name)
            else:
                flags.clear(directory, name, status)
                os.unlink(name, dir_fd=directory)

    def _move_up(self, directory: int, name: bytes) -> None:
        fresh = next(self._names)
        try:
            _rename(directory, name, self._top, fresh)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise StoreError(
                    "a file system is mounted inside a tree to delete", where=os.fsdecode(name)
                ) from error
            if error.errno != errno.EXDEV:
                raise
            self._delete_in_place(directory, name)
            return
        self._queue.append(fresh)

    def _delete_in_place(self, directory: int, name: bytes) -> None:
        """Delete a directory that can't be moved: overlayfs moves none of a lower layer.

        Nobody else writes there, so what was listed once is all that there is.
        """
        way = OpenDirectories(directory)
        pending = [[name]]  # directories still to go, of each level on the way down
        try:
            while pending:
                if pending[-1]:
                    way.push(self._entered(way.top, pending[-1][-1]))
                    pending.append(self._unlink_files(way.top))
                    continue
                pending.pop()
                if pending:
                    way.pop()
                    os.rmdir(pending[-1].pop(), dir_fd=way.top)
        finally:
            way.close()

    def _entered(self, directory: int, name: bytes) -> int:
        descriptor = _open(directory, name)
        try:
            if os.fstat(descriptor).st_dev != self._device:
                raise StoreError("refusing to delete across file systems", where=os.fsdecode(name))
            os.fchmod(descriptor, 0o700)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _unlink_files(self, directory: int) -> list[bytes]:
        """Delete all but the directories, and return these."""
        directories = []
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(os.fsencode(entry.name))
                else:
                    self._unlink(directory, os.fsencode(entry.name))
        return directories


def _open(parent: int, name: bytes) -> int:
    try:
        return os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    except PermissionError:
        flags.open_up(parent, name)
        return os.open(name, OPEN_DIRECTORY, dir_fd=parent)


def _rename(directory: int, name: bytes, top: int, fresh: bytes) -> None:
    """Move a sub-directory.

    Without root that needs the write bit on the directory itself (its `..` changes).
    """
    try:
        os.rename(name, fresh, src_dir_fd=directory, dst_dir_fd=top)
    except PermissionError:
        flags.clear(directory, name, lstat(directory, name))
        flags.open_up(directory, name)
        os.rename(name, fresh, src_dir_fd=directory, dst_dir_fd=top)


def _fresh_names() -> Iterator[bytes]:
    # Random, so that no name in a hostile tree can collide with one of ours.
    prefix = b".doomed-" + os.urandom(8).hex().encode() + b"-"
    return (prefix + str(number).encode() for number in count())


def _has_entries(directory: int) -> bool:
    with os.scandir(directory) as entries:
        return next(entries, None) is not None
