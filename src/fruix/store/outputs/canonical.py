"""The one form of metadata that a store object has.

Files 0444 or 0555 (if the owner could execute), directories 0555, modification time 1 (one second
after the epoch), owner the daemon, no extended attributes, no ACLs, no file flags. Set-id and write
bits go with that. All by descriptor, or by (directory, name) without following; nothing is changed
before its owner was checked, since a hard link could lead to somebody else's file.

`Canonicalisation` is a `Preparation`: a build's output is made canonical by the very pass that
reads it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing

from fruix.dataclass import dataclass, field
from fruix.errors import ObjectRejectedError, SuspiciousObjectError
from fruix.store import flags
from fruix.store.tree.metadata import DIRECTORY_MODE, file_mode, finish_open, finish_symlink, finish_times
from fruix.store.tree.walk import Kind, Node, walk

Inode = tuple[int, int]
"""A device and an inode number."""


@dataclass(slots=True)
class Links:
    """How often each regular file with several hard links occurs in the outputs of one build.

    Count all outputs of a build (`add`) before taking the first: a file is safe in place only if
    every link to it lies inside the outputs (otherwise a builder could keep one elsewhere). The
    verdict is that of the counting: later, when some names were replaced or a rejected output was
    deleted, the count of links left says nothing any more.
    """

    seen: dict[Inode, int] = field(default_factory=dict)
    total: dict[Inode, int] = field(default_factory=dict)
    taken: set[Inode] = field(default_factory=set)
    nodes: int = 0  # files, directories and links in all trees, as far as they were counted
    size: int = 0  # bytes: what all files claim to hold, each as often as it has names there
    most: int = 0  # nodes: no need to count further (0: count all)
    most_bytes: int = 0

    @property
    def too_many(self) -> bool:
        """Whether there are more nodes than `most`."""
        return bool(self.most) and self.nodes > self.most

    @property
    def too_big(self) -> bool:
        """Whether the files claim to hold more than `most_bytes`."""
        return bool(self.most_bytes) and self.size > self.most_bytes

    def add(self, parent: int, name: bytes) -> None:
        """Count the links in one tree.

        Missing trees and special files are left for the taking itself to report.
        """
        with closing(walk(parent, name)) as nodes:
            for node in nodes:
                self.nodes += node.kind is not Kind.END
                self.size += node.status.st_size if node.kind is Kind.FILE else 0
                if self.too_many or self.too_big:
                    return
                if node.kind is Kind.FILE and node.status.st_nlink > 1:
                    inode = (node.status.st_dev, node.status.st_ino)
                    self.seen[inode] = self.seen.get(inode, 0) + 1
                    self.total[inode] = node.status.st_nlink

    def reach_outside(self, status: os.stat_result) -> bool:
        """Whether the file has a name that is in none of the outputs."""
        inode = (status.st_dev, status.st_ino)
        return max(status.st_nlink, self.total.get(inode, 1)) > self.seen.get(inode, 1)


class Canonicalisation:
    """Makes each node of a walk canonical; see `fruix.store.tree.dump.Preparation`.

    Args:
        owner: numeric user that must own every file, or None to accept any.
        links: the link counts of all outputs of the build.
        fresh: puts a fresh copy in the place of a file that has links outside, given (node, open
            file); returns it, opened.
    """

    def __init__(self, owner: int | None, links: Links, fresh: Callable[[Node, int], int]) -> None:
        self._owner = owner
        self._links = links
        self._fresh = fresh
        self._self = (os.geteuid(), os.getegid())

    def file(self, node: Node, descriptor: int) -> int:
        """Check the owner, break links that lead outside, then set mode, times and owner."""
        self._check_owner(node)
        flags.clear(node.parent, node.name, node.status)
        if self._links.reach_outside(node.status):
            return self._fresh(node, descriptor)
        self._finish(node, descriptor, file_mode(node.is_executable))
        if node.status.st_nlink > 1:
            self._links.taken.add((node.status.st_dev, node.status.st_ino))
        return descriptor

    def symlink(self, node: Node) -> None:
        """Set the link's own owner and times."""
        self._check_owner(node)
        flags.clear(node.parent, node.name, node.status)
        if (node.status.st_uid, node.status.st_gid) != self._self:
            os.chown(node.name, *self._self, dir_fd=node.parent, follow_symlinks=False)
        if node.status.st_nlink > 1:
            self._links.taken.add((node.status.st_dev, node.status.st_ino))
        finish_symlink(node.parent, node.name, node.status.st_atime_ns)

    def directory(self, node: Node) -> None:
        """Check the owner and take the directory over, before its children are touched."""
        self._check_owner(node)
        flags.clear(node.parent, node.name, node.status)
        self._finish(node, node.descriptor, 0o700)

    def end(self, node: Node) -> None:
        """Set the final mode, and the times once more: replaced children changed them."""
        finish_open(node.descriptor, DIRECTORY_MODE, node.status.st_atime_ns)

    def _finish(self, node: Node, descriptor: int, mode: int) -> None:
        status = node.status
        flags.strip_attributes(descriptor)
        if (status.st_uid, status.st_gid) != self._self:
            # Mode first: a set-id bit must never be seen on a file that is ours already.
            os.fchmod(descriptor, mode)
            os.fchown(descriptor, *self._self)
            finish_times(descriptor, status.st_atime_ns)
        else:
            finish_open(descriptor, mode, status.st_atime_ns)

    def _check_owner(self, node: Node) -> None:
        if self._owner is None:
            return
        inode = (node.status.st_dev, node.status.st_ino)
        if node.status.st_uid == self._self[0] and inode in self._links.taken:
            return  # another name of a file that was made ours a moment ago
        check_owner(node, self._owner)


def check_owner(node: Node, owner: int) -> None:
    """Refuse what does not belong to the build user.

    Raises:
        ObjectRejectedError: it belongs to somebody else.
    """
    if node.status.st_uid != owner:
        raise ObjectRejectedError(
            f"invalid ownership on file '{node.path}'",
            hint=f"it belongs to user {node.status.st_uid}, the build ran as {owner}",
        )


def check_top(status: os.stat_result, owner: int, path: str) -> None:
    """The first look at an output, before anything of it is touched.

    Raises:
        ObjectRejectedError: special file, foreign owner, or writable for others.
    """
    kind = stat.S_IFMT(status.st_mode)
    if kind not in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
        raise ObjectRejectedError(f"file '{path}' has an unsupported type")
    writable = kind != stat.S_IFLNK and status.st_mode & 0o022
    if status.st_uid != owner or writable:
        raise SuspiciousObjectError(
            path,
            hint=f"owner {status.st_uid} (expected {owner}), mode {stat.S_IMODE(status.st_mode):04o}",
        )
