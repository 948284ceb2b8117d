"""Opening files and directories by (directory descriptor, one name), never through a symlink.

Rule of everything in `store/tree`: a path that somebody else may have had a hand in is walked one
component at a time. No call here resolves more than one component, except `open_chain`, which refuses
symlinks on the way: in one call where the system can do that, else component by component (sandbox
threats "delete race" and "copy through a planted link", docs/isolation.md).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from fruix.errors import ObjectRejectedError, StoreError
from fruix.store import flags

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a fifo swapped in after the type check must not block us; it has no effect on regular
# files.
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

READ_SIZE = 1 << 20
# What systems say when OPEN_DIRECTORY meets a symlink or a file.
NO_DIRECTORY = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EMLINK})


def lstat(parent: int, name: str | bytes) -> os.stat_result:
    """The status of one name in a directory, not following a symlink."""
    return os.stat(name, dir_fd=parent, follow_symlinks=False)


def exists(parent: int, name: str | bytes) -> bool:
    """Whether anything, also a link that leads nowhere, has that name in a directory."""
    try:
        lstat(parent, name)
    except FileNotFoundError:
        return False
    return True


def open_directory(parent: int, name: bytes, *, expect: os.stat_result | None = None) -> int:
    """Open a subdirectory.

    With `expect` it must be the very directory that was looked at before.
    """
    descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    if expect is not None:
        _check_same(descriptor, expect, name)
    return descriptor


@contextmanager
def opened_directory(parent: int, name: str | bytes) -> Iterator[int]:
    """A subdirectory, open during the context."""
    descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(parent: int, name: bytes, expect: os.stat_result) -> int:
    """Open a regular file for reading; it must be the very file that was looked at before.

    Raises:
        ObjectRejectedError: something else is there now.
        OSError: it can't be opened.
    """
    descriptor = os.open(name, OPEN_FILE, dir_fd=parent)
    _check_same(descriptor, expect, name)
    return descriptor


def open_regular(parent: int, name: bytes) -> int:
    """Open the regular file that has a name now, whichever it is.

    For reading trees that nobody hostile can change. In a store a deduplication may put another file
    with the same contents in the place of the one that was looked at (`open_file` refuses that).

    Raises:
        ObjectRejectedError: there is none.
        OSError: it can't be opened.
    """
    descriptor = os.open(name, OPEN_FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ObjectRejectedError("file was replaced while it was read", where=os.fsdecode(name))
    return descriptor


def _check_same(descriptor: int, expect: os.stat_result, name: bytes) -> None:
    found = os.fstat(descriptor)
    same = (found.st_dev, found.st_ino) == (expect.st_dev, expect.st_ino)
    if not same or stat.S_IFMT(found.st_mode) != stat.S_IFMT(expect.st_mode):
        os.close(descriptor)
        raise ObjectRejectedError("file was replaced while it was read", where=os.fsdecode(name))


def open_chain(path: str) -> int:
    """Open a directory by absolute path, refusing a symlink in any component.

    Raises:
        StoreError: the path is relative, or a component is a symlink or no directory.
        FileNotFoundError: a component is missing.
    """
    if not path.startswith("/"):
        raise StoreError("an absolute path is needed", where=path)
    if "\0" not in path and (at_once := flags.open_without_links(path, OPEN_DIRECTORY)) is not None:
        return at_once
    current = os.open("/", OPEN_DIRECTORY)
    for component in filter(None, path.split("/")):
        try:
            following = os.open(component, OPEN_DIRECTORY, dir_fd=current)
        except OSError as error:
            if error.errno not in NO_DIRECTORY:
                raise
            raise StoreError(
                f"the component '{component}' is a symlink or no directory",
                where=path,
                hint="give the real path",
            ) from error
        finally:
            os.close(current)
        current = following
    return current


def move(source: int, name: bytes, destination: int, new_name: bytes) -> None:
    """Rename, also a directory that only root may move.

    Without root that needs the directory's own write bit, since its entry `..` changes; it is given
    for that moment.
    """
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=destination)
    except PermissionError:
        descriptor = open_directory(source, name)
        try:
            mode = os.fstat(descriptor).st_mode & 0o7777
            os.fchmod(descriptor, mode | 0o200)
            try:
                os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=destination)
            finally:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it (one write may take less than it is given)."""
    written = os.write(descriptor, data)
    if written == len(data):
        return
    rest = memoryview(data)[written:]
    while rest:
        rest = rest[os.write(descriptor, rest) :]
