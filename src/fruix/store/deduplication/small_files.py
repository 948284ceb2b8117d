"""The usual cases of small files, in few calls of Python and of the system.

A file is opened, looked at and read once, and gets its link; or its link is, they are compared byte for
byte, and one rename replaces the file. Whatever is not so is left, untouched, to the careful way
(`replace`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from fruix.model import base32
from fruix.model.hashes import sha256
from fruix.model.nar import write
from fruix.store.deduplication.at_work import ObjectAtWork
from fruix.store.deduplication.contents import SMALL, outside
from fruix.store.deduplication.made_links import MadeLinks
from fruix.store.tree.closing import Closer
from fruix.store.tree.descriptors import OPEN_FILE
from fruix.store.tree.metadata import FILE_MODES, MODIFIED
from fruix.store.tree.walk import Node

_PLAIN, _EXECUTABLE = (stat.S_IFREG | mode for mode in FILE_MODES)
_MODIFIED_NS = MODIFIED * 10**9

Swap = Callable[[bytes, Node, int, str], None]
"""Puts what lies at a place in the place of a node of the path of a row, for the link of a name."""


class SmallFiles:
    """Deduplicates small files of one store. One thread at a time."""

    def __init__(self, made: MadeLinks, closer: Closer, swap: Swap) -> None:
        """`closer` closes what was replaced."""
        self._made = made
        self._closer = closer
        self._swap = swap

    def share(self, node: Node, whole: ObjectAtWork, clones: bool) -> bytes | None:
        """Make a file's link, or replace the file by it.

        Args:
            node: the file.
            whole: the object that holds it.
            clones: it would be replaced by a clone, which is not done here.

        Returns:
            None: that is all. Else nothing was done; the SHA-256 of its archive, if that is known.

        Raises:
            OSError: as the system says. The file is as it was, or was replaced.
        """
        own = os.open(node.name, OPEN_FILE, dir_fd=node.parent)
        close: Callable[[int], None] = os.close
        try:
            status = os.fstat(own)
            data = _contents(own, status)
            if data is None:
                return b""
            digest = sha256(write.plain_file(data, executable=status.st_mode == _EXECUTABLE)).digest()
            key, links = base32.encode(digest), whole.links()
            if self._made.make(links, key, node.parent, node.name, whole.row):
                return None
            place = None if clones else _linked(links, key, status, data, whole)
            if place is None:
                return digest
            if place:
                self._replace(place, node, key, whole)
                whole.replaced(status)
                if status.st_nlink == 1:
                    close = self._closer.close_soon
            return None
        finally:
            close(own)

    def _replace(self, place: bytes, node: Node, key: str, whole: ObjectAtWork) -> None:
        try:
            whole.note()
            self._swap(place, node, whole.row, key)
        except BaseException:
            whole.staging.drop(place)
            raise


def _contents(descriptor: int, status: os.stat_result) -> bytes | None:
    """All bytes of an open file; None if it is no small regular file as objects have them."""
    size = status.st_size
    if status.st_mode not in (_PLAIN, _EXECUTABLE) or size > SMALL or status.st_mtime_ns != _MODIFIED_NS:
        return None
    data = os.pread(descriptor, size + 1, 0)
    return data if len(data) == size else None


def _linked(links: int, key: str, status: os.stat_result, data: bytes, whole: ObjectAtWork) -> bytes | None:
    """Give a link that holds the same as a file one more name, at a place of the private directory.

    Args:
        links: the open directory of links.
        key: the link's name there.
        status: of the file.
        data: what the file holds.
        whole: the object that is worked on.

    Returns:
        The place; empty if the link is a name of the file itself; None if it holds something else.
    """
    other = os.open(key, OPEN_FILE, dir_fd=links)
    try:
        found = os.fstat(other)
        if found.st_ino == status.st_ino and found.st_dev == status.st_dev:
            return b""
        if outside(found) != outside(status) or os.pread(other, len(data) + 1, 0) != data:
            return None
    finally:
        os.close(other)
    place = whole.place()
    os.link(key, place, src_dir_fd=links, dst_dir_fd=whole.staging.directory, follow_symlinks=False)
    return place
