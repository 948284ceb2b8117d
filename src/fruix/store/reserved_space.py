"""Disk space that is kept in a file, and given up where a full disk would keep a database from shrinking."""

from __future__ import annotations

import os

SIZE = 8 << 20  # bytes


def reserve(path: str, *, spare: int) -> None:
    """Have the file at `path` hold `SIZE` bytes, if so many and `spare` more are free."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:  # no room for another file
        return
    try:
        status = os.fstatvfs(descriptor)
        scarce = status.f_bavail * status.f_frsize < SIZE + spare
        if os.fstat(descriptor).st_size < SIZE and not scarce:
            os.posix_fallocate(descriptor, 0, SIZE)
    except OSError:
        # No space to reserve, or a file system that can't: the store works without.
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
