"""A tree as an archive (NAR) stream, and the contents of one file.

Streams: pieces of structure are gathered, contents go out in pieces of 256 KiB, so memory is
bounded by a few of those whatever the tree. A `Preparation` may look at each node before it is
read, change it, or hand out another descriptor to read from: that is how outputs are made
canonical, hashed and scanned in a single pass. Format: `fruix.model.nar`.

Cost: about 30 µs a small file, 7 where nothing is prepared (`plain_dump`); big files at the speed of
read(2).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

from fruix.model.nar import write
from fruix.store.tree.descriptors import NO_DIRECTORY, OPEN_FILE, open_file
from fruix.store.tree.file_contents import SizeBudget, at_once, contents
from fruix.store.tree.plain_dump import GATHER, PlainDump
from fruix.store.tree.walk import MAX_DEPTH, Kind, Node, walk


class Preparation(Protocol):
    """What is done to each node before it goes into the stream."""

    def file(self, node: Node, descriptor: int) -> int:
        """Called with the open file.

        Returns the descriptor to read: this one or another, both are closed afterwards.
        """

    def symlink(self, node: Node) -> None:
        """Called before the target is read."""

    def directory(self, node: Node) -> None:
        """Called before the directory's children."""

    def end(self, node: Node) -> None:
        """Called after the directory's children."""


class _AsItIs:
    def file(self, node: Node, descriptor: int) -> int:  # noqa: ARG002 - the protocol's shape
        return descriptor

    def symlink(self, node: Node) -> None:
        pass

    directory = end = symlink


AS_IT_IS: Preparation = _AsItIs()


def dump(
    parent: int,
    name: bytes,
    *,
    prepare: Preparation = AS_IT_IS,
    where: str = "",
    max_depth: int = MAX_DEPTH,
    budget: SizeBudget | None = None,
) -> Iterator[bytes]:
    """The archive of the tree at `name` in the open directory `parent`, in chunks of up to 256 KiB.

    Args:
        parent: descriptor of the directory that holds the tree.
        name: the tree's name there.
        prepare: what is done to each node first.
        where: text for messages in place of the name.
        max_depth: levels below the root.
        budget: what all files together may take of it.

    Raises:
        ObjectRejectedError: what an archive can't hold, or a file that changed while it was read.
        OSError: as the system says.
    """
    if prepare is AS_IT_IS:
        return iter(PlainDump(parent, name, where, max_depth, budget))
    return _prepared(parent, name, prepare, where, max_depth, budget)


def _prepared(
    parent: int, name: bytes, prepare: Preparation, where: str, max_depth: int, budget: SizeBudget | None
) -> Iterator[bytes]:
    gathered = bytearray(write.MAGIC)
    with closing(walk(parent, name, where=where, max_depth=max_depth)) as nodes:
        for node in nodes:
            if node.depth and node.kind is not Kind.END:
                gathered += write.entry_head(node.name)
            if node.kind is Kind.FILE:
                if budget is not None:
                    budget.spend(node.status.st_size, node.path)
                yield from _file(node, prepare, gathered)
            else:
                gathered += _structure(node, prepare)
            if node.depth and node.kind is not Kind.DIRECTORY:
                gathered += write.ENTRY_TAIL
            if len(gathered) >= GATHER:
                yield bytes(gathered)
                gathered.clear()
    yield bytes(gathered)


def small_file(parent: int, name: bytes) -> tuple[os.stat_result, bytes] | None:
    """The status and the archive of a small regular file, by four system calls; None for anything else.

    Raises:
        OSError: nothing is there, or it can't be read.
    """
    try:
        descriptor = os.open(name, OPEN_FILE, dir_fd=parent)
    except OSError as error:
        if error.errno in NO_DIRECTORY:  # what systems say of a symlink
            return None
        raise
    try:
        status = os.fstat(descriptor)
        size = status.st_size
        if size >= GATHER or not stat.S_ISREG(status.st_mode):
            return None
        data = os.read(descriptor, size + 1)
    finally:
        os.close(descriptor)
    if len(data) != size:
        return None
    head = write.file_head(size, executable=bool(status.st_mode & 0o100))
    return status, b"".join((write.MAGIC, head, data, write.file_tail(size)))


def _structure(node: Node, prepare: Preparation) -> bytes:
    if node.kind is Kind.SYMLINK:
        prepare.symlink(node)
        return write.symlink(os.readlink(node.name, dir_fd=node.parent))
    if node.kind is Kind.DIRECTORY:
        prepare.directory(node)
        return write.DIRECTORY_HEAD
    prepare.end(node)
    return write.DIRECTORY_TAIL


def _file(node: Node, prepare: Preparation, gathered: bytearray) -> Iterator[bytes]:
    """One regular file: small contents are gathered with the structure, big ones go out as they are read."""
    descriptor = found = open_file(node.parent, node.name, node.status)
    try:
        descriptor = prepare.file(node, found)
        size = os.fstat(descriptor).st_size
        gathered += write.file_head(size, node.is_executable)
        if size < GATHER:
            gathered += at_once(descriptor, size, lambda: node.path)
        else:
            if gathered:
                yield bytes(gathered)
                gathered.clear()
            yield from contents(descriptor, size, where=node.path)
        gathered += write.file_tail(size)
    finally:
        os.close(found)
        if descriptor != found:
            os.close(descriptor)
