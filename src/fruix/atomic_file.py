"""Files that are replaced as a whole: who opens one sees the old contents or the new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def atomic_file(path: str, *, mode: int = 0o644, sync: bool = False) -> Iterator[IO[bytes]]:
    """A file to write, which takes the name `path` when the context ends, and goes when it fails.

    `sync`: its contents are on disk before it has the name. Its directory must be one that nobody
    else writes to.
    """
    with _replacing(path) as descriptor, open(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fchmod(descriptor, mode)  # whatever the umask is
        if sync:
            os.fsync(descriptor)


def write_file(path: str, data: bytes, *, mode: int = 0o644) -> None:
    """The same for what is at hand, in fewer calls."""
    with _replacing(path) as descriptor:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


@contextmanager
def _replacing(path: str) -> Iterator[int]:
    """The descriptor of a new file, which whoever asks closes; it takes the name, or goes."""
    temporary = os.path.join(os.path.dirname(path), f".new-{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def sync_path(path: str, flags: int = 0) -> None:
    """Bring to disk what a file holds, or which names a directory has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
