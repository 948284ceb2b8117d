"""Whether anything was committed to an SQLite database since a moment, for one call of the system.

In write-ahead mode the file beside it whose name ends in `-shm` begins with two copies of a header, of
48 bytes each, that every commit changes, whichever process makes it: it counts them, and tells how long
the log is (https://www.sqlite.org/walformat.html, "WAL-Index Header"). `pragma data_version` tells the
same for seven calls, most of which take and release locks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

_HEADERS = 2 * 48  # bytes
_COUNT = slice(8, 12)  # where the first copy counts commits, in the machine's byte order
_MOST_DESCRIPTORS = 4096


class CommitHeader:
    """Reads it through SQLite's own descriptor.

    One of our own would have to be closed some day, which drops all of this process's locks on the file.
    """

    def __init__(self, database: str) -> None:
        """Find the descriptor; a connection must be open that has read something, and stay open."""
        self._descriptor = _descriptor_of(f"{database}-shm")
        # What it became by the last commits that nobody is to see, and what it was before them.
        self._unseen = self._seen = b""

    def read(self) -> bytes:
        """Bytes that are others after each commit; none if they can't be read."""
        found = self._found()
        return self._seen if found == self._unseen else found

    def keep_over(self, commit: Callable[[], object]) -> None:
        """Commit what nobody asks for: `read` gives the same bytes as before.

        The caller holds the lock for writing until then. Of other bytes is what somebody else commits
        directly after, which the count tells.
        """
        before = self._found()
        commit()
        after = self._found()
        if before and after and _count(after) == (_count(before) + 1) & 0xFFFF_FFFF:
            self._seen = self._seen if before == self._unseen else before
            self._unseen = after

    def _found(self) -> bytes:
        if self._descriptor < 0:
            return b""
        try:
            found = os.pread(self._descriptor, _HEADERS, 0)
        except OSError:
            return b""
        return found if len(found) == _HEADERS and any(found) else b""


def _count(header: bytes) -> int:
    return int.from_bytes(header[_COUNT], sys.byteorder)


def _descriptor_of(path: str) -> int:
    """This process's first descriptor of a file; -1: there is none."""
    try:
        wanted = os.stat(path, follow_symlinks=False)
    except OSError:
        return -1
    for descriptor in range(_MOST_DESCRIPTORS):
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), wanted):
                return descriptor
    return -1
