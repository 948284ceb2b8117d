"""Copying a tree that a build left, for a person to look at.

Other rules than for store objects, the same caution.

Only fresh inodes, made through descriptors of directories that nobody else can enter. Copied are
directories, symlinks (as they are), and regular files of the build user; modes without set-id and
sticky bits and without write permission for others, times of modification. Everything else (special
files, files of others) is left out and counted.
"""

from __future__ import annotations

import os
from contextlib import closing

from fruix.dataclass import dataclass
from fruix.errors import ObjectRejectedError
from fruix.store.tree.copy import copy_data
from fruix.store.tree.descriptors import CREATE_FILE, open_directory, open_file
from fruix.store.tree.open_directories import OpenDirectories
from fruix.store.tree.walk import Kind, Node, walk

_MAX_NODES = 1 << 21


@dataclass(slots=True)
class Keeper:
    """Copies trees of `builder` for `uid`:`gid`, in all at most `room` bytes."""

    builder: int
    uid: int
    gid: int
    room: int
    skipped: int = 0
    nodes: int = 0

    def copy(self, parent: int, name: bytes, to: int) -> None:
        """Copy what lies at `name` in `parent` into the open directory `to`, under the same name.

        Raises:
            ObjectRejectedError: there is no room for it.
            OSError: as the system says; a part of the copy may be left.
        """
        with closing(OpenDirectories(to)) as targets, closing(walk(parent, name, skip=self._skip)) as nodes:
            for node in nodes:
                self._take(node, targets)

    def _skip(self, _place: bytes) -> None:
        self.skipped += 1

    def _take(self, node: Node, targets: OpenDirectories) -> None:
        into = targets.top
        if node.kind is Kind.END:
            self._finish(into, node.status, 0o700)
            targets.pop()
            return
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise ObjectRejectedError(f"it holds more than {_MAX_NODES} files")
        if node.kind is Kind.DIRECTORY:
            os.mkdir(node.name, 0o700, dir_fd=into)
            targets.push(open_directory(into, node.name))
        elif node.kind is Kind.SYMLINK:
            os.symlink(os.readlink(node.name, dir_fd=node.parent), node.name, dir_fd=into)
            os.chown(node.name, self.uid, self.gid, dir_fd=into, follow_symlinks=False)
        elif node.status.st_uid == self.builder:
            self._file(node, into)
        else:
            self.skipped += 1

    def _file(self, node: Node, into: int) -> None:
        self.room -= node.status.st_size  # as it will be if holes are filled
        if self.room < 0:
            raise ObjectRejectedError("there is not enough room for it on the disk")
        source = open_file(node.parent, node.name, node.status)
        try:
            target = os.open(node.name, CREATE_FILE, 0o600, dir_fd=into)
            try:
                copy_data(source, target, node.status.st_size, where=node.path)
                self._finish(target, node.status, 0o600)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _finish(self, target: int, status: os.stat_result, least: int) -> None:
        os.fchmod(target, (status.st_mode & 0o755) | least)
        os.fchown(target, self.uid, self.gid)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
