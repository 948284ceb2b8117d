"""What files do otherwise on FreeBSD (UFS) than on Linux, as far as Python code can be shown it.

A directory that is renamed to another parent changes its own time of modification, since its `..` is
rewritten; within one parent it keeps it, and so do files anywhere. No call exchanges two names.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fruix.store import flags

_rename = os.rename


@contextmanager
def as_on_ufs() -> Iterator[None]:
    """For this process, and those that it forks."""
    exchange = flags.exchange
    os.rename = os.replace = rename
    flags.exchange = lambda *_: False
    try:
        yield
    finally:
        os.rename, os.replace, flags.exchange = _rename, _replace, exchange


_replace = os.replace


def rename(src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    """rename(2), with its effect on a directory that is moved."""
    is_directory = stat.S_ISDIR(os.lstat(src, dir_fd=src_dir_fd).st_mode)
    moved = _parent(src, src_dir_fd) != _parent(dst, dst_dir_fd)
    _rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
    if is_directory and moved:
        accessed = os.lstat(dst, dir_fd=dst_dir_fd).st_atime_ns
        os.utime(dst, ns=(accessed, time.time_ns()), dir_fd=dst_dir_fd, follow_symlinks=False)


def _parent(path: Any, directory: int | None) -> tuple[int, int]:
    status = os.stat(os.path.dirname(os.fsencode(path)) or b".", dir_fd=directory)
    return status.st_dev, status.st_ino
