"""Copying a tree into fresh inodes that are canonical from the start.

Nobody can hold a descriptor, a mapping or a hard link of what this makes: each file is created with O_EXCL|O_NOFOLLOW in a
directory of ours, each source is opened with O_NOFOLLOW and checked to be what was looked at. Hard links are not kept (every
name gets its own file), nor are times, attributes, ACLs and flags. Data is shared where the file system can clone
(btrfs, XFS, ZFS), else copied in the kernel, else by read and write.

Cost: two opens and a few calls per file; no data is moved on file systems that clone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing, suppress

from fruix.store import flags
from fruix.store.tree.descriptors import CREATE_FILE, READ_SIZE, open_directory, open_file, write_all
from fruix.store.tree.metadata import DIRECTORY_MODE, file_mode, finish_open, finish_symlink
from fruix.store.tree.walk import Kind, Node, walk

# What copy_file_range says when it can't for these two files; then read and write do it.
_CANT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM})


def copy_tree(
    parent: int,
    name: bytes,
    to: int,
    to_name: bytes,
    *,
    check: Callable[[Node], None] = lambda _node: None,
    where: str = "",
) -> None:
    """Copy the tree at `name` in directory `parent` to `to_name` in directory `to`, where nothing may be.

    Args:
        parent: open directory of the source.
        name: the source's name there.
        to: open directory that only we can enter.
        to_name: the copy's name there.
        check: called for each node before it is copied; raises to refuse it.
        where: text for messages.

    Raises:
        ObjectRejectedError: special file, too deep, changed while it was copied, or what `check` raises.
        OSError: as the system says; a part of the copy may be left.
    """
    targets = [to]  # the open directories on the way down; the first is the caller's
    try:
        with closing(walk(parent, name, where=where)) as nodes:
            for node in nodes:
                into = targets[-1]
                label = node.name if node.depth else to_name
                if node.kind is Kind.END:
                    finish_open(into, DIRECTORY_MODE)
                    os.close(targets.pop())
                    continue
                check(node)
                if node.kind is Kind.DIRECTORY:
                    os.mkdir(label, 0o700, dir_fd=into)
                    targets.append(open_directory(into, label))
                elif node.kind is Kind.SYMLINK:
                    os.symlink(os.readlink(node.name, dir_fd=node.parent), label, dir_fd=into)
                    finish_symlink(into, label)
                else:
                    copy_file(node, open_file(node.parent, node.name, node.status), into, label)
    finally:
        for descriptor in targets[1:]:
            os.close(descriptor)


def copy_file(node: Node, source: int, to: int, to_name: bytes) -> None:
    """Copy one open regular file (closes `source`) to a fresh canonical file `to_name` in directory `to`."""
    try:
        target = os.open(to_name, CREATE_FILE, 0o600, dir_fd=to)
        try:
            copy_data(source, target)
            finish_open(target, file_mode(node.is_executable))
        finally:
            os.close(target)
    finally:
        os.close(source)


def copy_data(source: int, target: int) -> None:
    """All data of an open file into an empty one, by the cheapest way that works."""
    if flags.clone(source, target):
        return
    with suppress(AttributeError):  # not in every Python of every system
        try:
            while os.copy_file_range(source, target, 1 << 30):
                pass
        except OSError as error:
            if error.errno not in _CANT_COPY:
                raise
    # Also after a copy_file_range that ended early: some file systems report an end where there is none.
    while chunk := os.read(source, READ_SIZE):
        write_all(target, chunk)
