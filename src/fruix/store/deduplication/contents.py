"""A file or symlink that may be deduplicated: what it holds, and whether another one holds the same."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from fruix.dataclass import dataclass
from fruix.errors import ObjectRejectedError
from fruix.model import base32
from fruix.model.hashes import sha256
from fruix.model.nar import write
from fruix.store import flags
from fruix.store.tree.compare import same_contents
from fruix.store.tree.descriptors import lstat, open_regular
from fruix.store.tree.file_contents import contents
from fruix.store.tree.metadata import FILE_MODES, MODIFIED
from fruix.store.tree.walk import Kind

SMALL = 1 << 16  # bytes; such a file is read at once


@dataclass(frozen=True)
class Contents:
    """A name in an open directory, with its status; `descriptor` is the open file, -1 for a symlink."""

    parent: int
    name: bytes
    status: os.stat_result
    descriptor: int
    archive_hash: bytes = b""

    @property
    def is_executable(self) -> bool:
        """Whether the owner may execute it."""
        return bool(self.status.st_mode & 0o100)

    @property
    def is_canonical(self) -> bool:
        """Whether its mode and time are those of an object's file; others are nothing to share."""
        return self.status.st_mtime_ns == MODIFIED * 10**9 and (
            self.descriptor < 0 or stat.S_IMODE(self.status.st_mode) in FILE_MODES
        )

    @cached_property
    def key(self) -> str:
        """The name that its link has. Costs a read of the file where it isn't known."""
        if self.archive_hash:
            return base32.encode(self.archive_hash)
        digest = sha256()
        for chunk in self._archive():
            digest.update(chunk)
        return base32.encode(digest.digest())

    def _archive(self) -> Iterator[bytes]:
        if self.descriptor < 0:
            yield write.MAGIC + write.symlink(self._target())
            return
        if self.small is not None:
            yield write.plain_file(self.small, executable=self.is_executable)
            return
        size = self.status.st_size
        yield write.MAGIC + write.file_head(size, self.is_executable)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        yield from contents(self.descriptor, size, where=os.fsdecode(self.name))
        yield write.file_tail(size)

    @cached_property
    def small(self) -> bytes | None:
        """All that a small file holds, read once; None for a big one."""
        size = self.status.st_size
        if size > SMALL:
            return None
        data = os.pread(self.descriptor, size + 1, 0)
        if len(data) != size:
            raise ObjectRejectedError("file changed while it was read", where=os.fsdecode(self.name))
        return data

    def _target(self) -> bytes:
        return os.readlink(self.name, dir_fd=self.parent)

    def is_same_file(self, other: Contents) -> bool:
        """Whether both are names of one inode."""
        return os.path.samestat(self.status, other.status)

    def shares_data(self, other: Contents) -> bool:
        """Whether both have their data at one place of the disk."""
        return self.descriptor >= 0 and flags.shares_data(self.descriptor, other.descriptor)

    def equals(self, other: Contents) -> bool:
        """Whether one can stand for the other: same bytes, mode, time and owner. Costs a read of both."""
        if outside(self.status) != outside(other.status):
            return False
        if self.descriptor < 0:
            return self._target() == other._target()
        if self.small is not None:  # and so is the other's, of the same size
            return self.small == other.small
        return same_contents(self.descriptor, other.descriptor)


def outside(status: os.stat_result) -> tuple[int, ...]:
    """What has to be the same of two files besides their bytes."""
    return (status.st_mode, status.st_size, status.st_mtime_ns, status.st_uid, status.st_gid)


@contextmanager
def opened_contents(
    parent: int,
    name: bytes,
    kind: Kind,
    archive_hash: bytes = b"",
    close: Callable[[int], None] = os.close,
) -> Iterator[Contents]:
    """Open a file, or look at a symlink.

    Args:
        parent: the open directory that holds it.
        name: its name there.
        kind: which of both it is.
        archive_hash: the SHA-256 of its archive, if that is known.
        close: closes the file.

    Raises:
        ObjectRejectedError: a file is wanted, and it is none.
        OSError: as the system says.
    """
    if kind is Kind.SYMLINK:
        yield Contents(parent, name, lstat(parent, name), -1, archive_hash)
        return
    descriptor = open_regular(parent, name)
    try:
        yield Contents(parent, name, os.fstat(descriptor), descriptor, archive_hash)
    finally:
        close(descriptor)
