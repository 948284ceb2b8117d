"""`.links`: a directory of the store with one hard link for each contents that was deduplicated.

A link's name is the nix32 form of the SHA-256 of the archive (`fruix.model.nar`) that holds just
that file, so that an executable and a plain file of the same bytes are two contents. Nix and Guix
keep the same directory in the same form. It is made when the first link is, and removed by the
collector when none is left; where a variable of theirs names the store it is always there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from fruix.store.leftovers import LINKS
from fruix.store.tree.descriptors import OPEN_DIRECTORY, lstat

_BATCH = 4096


@contextmanager
def opened_links(store: int) -> Iterator[int]:
    """The open directory of links of the open directory `store`, which is made if it is missing.

    Raises:
        FileNotFoundError: a collector removed it this very moment.
    """
    try:
        descriptor = os.open(LINKS, OPEN_DIRECTORY, dir_fd=store)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(LINKS, 0o755, dir_fd=store)
        descriptor = os.open(LINKS, OPEN_DIRECTORY, dir_fd=store)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def linked_inodes(store: int) -> set[int]:
    """The numbers of the inodes that have a link. Costs some 60 bytes of memory for each."""
    try:
        links = os.open(LINKS, OPEN_DIRECTORY, dir_fd=store)
    except FileNotFoundError:
        return set()
    try:
        with os.scandir(links) as entries:
            return {entry.inode() for entry in entries}
    finally:
        os.close(links)


def _nobody(_size: int) -> None:
    pass


def remove_unused_links(
    store: int,
    freed: Callable[[int], None] = _nobody,
    saved: Callable[[int], None] = _nobody,
    *,
    keep: bool = False,
) -> int:
    """Remove the links whose file has no other name, and the directory if it is empty then.

    For the collector, after it has deleted objects; needs no lock. A deduplication that goes on at
    the same time loses no contents by it: a link that it was about to use may be gone, and then it
    makes another.

    Args:
        store: the open store directory.
        freed: told of the size in bytes of each file that goes.
        saved: told of the bytes that each link that stays saves.
        keep: the directory stays.

    Returns:
        How many links were removed. Costs a listing and one lstat a link.
    """
    removed = 0
    try:
        links = os.open(LINKS, OPEN_DIRECTORY, dir_fd=store)
    except FileNotFoundError:
        return 0
    try:
        with os.scandir(links) as entries:
            names = (os.fsencode(entry.name) for entry in entries)
            while batch := list(islice(names, _BATCH)):
                removed += sum(_remove_unused(links, name, freed, saved) for name in batch)
    finally:
        os.close(links)
    if not keep:
        with suppress(OSError):  # some are in use
            os.rmdir(LINKS, dir_fd=store)
    return removed


def tidy_links(store: int, *, keep: bool) -> int:
    """Remove unused links, and return how many bytes those that stay save."""
    sizes: list[int] = []
    remove_unused_links(store, saved=sizes.append, keep=keep)
    return sum(sizes)


def _remove_unused(
    links: int, name: bytes, freed: Callable[[int], None], saved: Callable[[int], None]
) -> bool:
    try:
        status = lstat(links, name)
        if stat.S_ISDIR(status.st_mode):
            return False
        if status.st_nlink > 1:  # the link itself, the file, and others that are the same
            saved((status.st_nlink - 2) * status.st_size)
            return False
        os.unlink(name, dir_fd=links)
    except FileNotFoundError:
        return False
    freed(status.st_size)
    return True
