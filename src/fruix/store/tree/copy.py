"""Copying a tree into fresh inodes that are canonical from the start.

Nobody can hold a descriptor, a mapping or a hard link of what this makes: each file is created with
O_EXCL|O_NOFOLLOW in a directory of ours, each source is opened with O_NOFOLLOW and checked to be
what was looked at. Hard links are not kept (every name gets its own file), nor are times,
attributes, ACLs and flags. Data is shared where the file system can clone (btrfs, XFS, ZFS), else
copied in the kernel, else by read and write.

Cost: two opens and a few calls per file; no data is moved on file systems that clone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing, suppress

from fruix.errors import ObjectRejectedError
from fruix.store import flags
from fruix.store.tree.descriptors import CREATE_FILE, READ_SIZE, open_directory, open_file, write_all
from fruix.store.tree.interruption import check_interrupt
from fruix.store.tree.metadata import DIRECTORY_MODE, file_mode, finish_open, finish_symlink
from fruix.store.tree.open_directories import OpenDirectories
from fruix.store.tree.walk import Kind, Node, walk

_PIECE = 1 << 24  # bytes that the kernel copies in one call, between two looks whether to go on
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
        ObjectRejectedError: special file, too deep, changed meanwhile, or what `check` raises.
        OSError: as the system says; a part of the copy may be left.
    """
    with closing(OpenDirectories(to)) as targets, closing(walk(parent, name, where=where)) as nodes:
        for node in nodes:
            into = targets.top
            label = node.name if node.depth else to_name
            if node.kind is Kind.END:
                finish_open(into, DIRECTORY_MODE)
                targets.pop()
                continue
            check(node)
            _copy_node(node, into, label)
            if node.kind is Kind.DIRECTORY:
                targets.push(open_directory(into, label))


def _copy_node(node: Node, to: int, to_name: bytes) -> None:
    if node.kind is Kind.DIRECTORY:
        os.mkdir(to_name, 0o700, dir_fd=to)
    elif node.kind is Kind.SYMLINK:
        os.symlink(os.readlink(node.name, dir_fd=node.parent), to_name, dir_fd=to)
        finish_symlink(to, to_name)
    else:
        copy_file(node, open_file(node.parent, node.name, node.status), to, to_name)


def copy_file(node: Node, source: int, to: int, to_name: bytes) -> None:
    """Copy one open regular file (closes `source`) to a fresh canonical file `to_name` in directory `to`."""
    try:
        target = os.open(to_name, CREATE_FILE, 0o600, dir_fd=to)
        try:
            copy_data(source, target, node.status.st_size, where=node.path)
            finish_open(target, file_mode(node.is_executable))
        finally:
            os.close(target)
    finally:
        os.close(source)


def copy_data(source: int, target: int, size: int, *, where: str) -> None:
    """All data of an open file, `size` bytes, into an empty one, by the cheapest way that works.

    Raises:
        ObjectRejectedError: the file is shorter or longer by now.
        Interrupted: see `interruption`.
    """
    if flags.clone(source, target):
        changed = os.fstat(target).st_size != size
    else:
        left = _copy_in_kernel(source, target, size)
        # Also after a copy_file_range that ended early: some file systems report an end where there
        # is none.
        while left and (chunk := os.read(source, min(left, READ_SIZE))):
            check_interrupt()
            write_all(target, chunk)
            left -= len(chunk)
        changed = bool(left or os.read(source, 1))
    if changed:
        raise ObjectRejectedError("file changed while it was copied", where=where)


def _copy_in_kernel(source: int, target: int, size: int) -> int:
    """As much as the kernel copies by itself; how many bytes are left."""
    left = size
    with suppress(AttributeError):  # not in every Python of every system
        try:
            while left and (done := os.copy_file_range(source, target, min(left, _PIECE))):
                check_interrupt()
                left -= done
        except OSError as error:
            if error.errno not in _CANT_COPY:
                raise
    return left
