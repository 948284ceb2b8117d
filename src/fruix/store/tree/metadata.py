"""The metadata that every store object has, whatever it was before.

Files 0444, or 0555 if executable; directories 0555; modification time 1 (one second after the
epoch).
"""

from __future__ import annotations

import os
import stat

from fruix.store import flags
from fruix.store.tree.descriptors import lstat, open_directory

MODIFIED = 1  # seconds; 0 would look like "no time" to some programs
DIRECTORY_MODE = 0o555
FILE_MODES = (0o444, 0o555)  # plain, executable
_MODIFIED_NS = MODIFIED * 10**9
TIMES = (_MODIFIED_NS, _MODIFIED_NS)  # of access and of modification, of what is fresh; ns


def file_mode(executable: bool) -> int:
    """The mode of a regular file in the store."""
    return FILE_MODES[executable]


def finish_open(descriptor: int, mode: int, accessed_ns: int = _MODIFIED_NS) -> None:
    """Give an open, fresh file or directory of ours its final mode and times."""
    os.fchmod(descriptor, mode)
    finish_times(descriptor, accessed_ns)


def finish_times(descriptor: int, accessed_ns: int = _MODIFIED_NS) -> None:
    """The times alone."""
    os.utime(descriptor, ns=(accessed_ns, _MODIFIED_NS))


def finish_symlink(parent: int, name: bytes, accessed_ns: int = _MODIFIED_NS) -> None:
    """Give a fresh symlink of ours its final times (and mode, where symlinks have one)."""
    flags.finish_symlink_mode(parent, name)
    os.utime(name, ns=(accessed_ns, _MODIFIED_NS), dir_fd=parent, follow_symlinks=False)


def settle(parent: int, name: bytes) -> None:
    """Set the time of a directory that lost it by being renamed to another parent.

    UFS rewrites the directory's own `..` then, which changes its time of modification; within one
    parent it stays. To be called before the object is registered. Costs one call where nothing is
    lost.
    """
    status = lstat(parent, name)
    if not stat.S_ISDIR(status.st_mode) or status.st_mtime_ns == _MODIFIED_NS:
        return
    descriptor = open_directory(parent, name, expect=status)
    try:
        os.utime(descriptor, ns=(status.st_atime_ns, _MODIFIED_NS))
    finally:
        os.close(descriptor)
