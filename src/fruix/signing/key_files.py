"""Files that hold keys. Secret ones are made for their owner alone, and read only if that is so."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from fruix.errors import FruixError, NotPermittedError, UsageError

# O_NONBLOCK: a fifo doesn't block; what isn't a regular file is refused afterwards.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SECRET_MODE, PUBLIC_MODE = 0o400, 0o444
# More than any key takes.
_LIMIT = 1 << 16


def read_secret(file: str) -> bytes:
    """The contents of a file that only its owner can read, who is this process's user or root.

    Raises:
        NotPermittedError: others can read it, or it is somebody else's.
        UsageError: it isn't there, is a link, or is no plain file.
    """
    return _read(file, secret=True)


def read_public(file: str) -> bytes:
    """The contents of a file with a public key.

    Raises:
        UsageError: it isn't there, is a link, or is no plain file.
    """
    return _read(file, secret=False)


def _read(file: str, *, secret: bool) -> bytes:
    try:
        descriptor = os.open(file, _OPEN)
    except OSError as error:
        raise UsageError(f"can't open the key: {error.strerror}", where=file) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError("a key is in a plain file, and this is none", where=file)
        if secret:
            _check_secret(file, status)
        data = os.read(descriptor, _LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(data) > _LIMIT:
        raise UsageError(f"a file of more than {_LIMIT} bytes is no key", where=file)
    return data


def _check_secret(file: str, status: os.stat_result) -> None:
    if status.st_mode & 0o077:
        raise NotPermittedError(
            f"file '{file}' should be secret (inaccessible to everybody else)", hint=f"chmod 0400 {file}"
        )
    if status.st_uid not in {os.geteuid(), 0}:
        raise NotPermittedError(
            f"file '{file}' belongs to user {status.st_uid}, who could change the key",
            hint="keys belong to root, or to the user who signs with them",
        )


def write_new(files: Mapping[str, tuple[str, int]]) -> None:
    """Make files of texts with modes, all or none; nothing may have their names.

    Raises:
        UsageError: something has.
        FruixError: one can't be made.
    """
    made: list[str] = []
    try:
        for file, (text, mode) in files.items():
            descriptor = os.open(file, _CREATE, mode)
            made.append(file)
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fchmod(descriptor, mode)  # whatever the umask takes away
                os.fsync(descriptor)
    except OSError as error:
        for file_made in made:
            os.unlink(file_made)
        if isinstance(error, FileExistsError):
            raise UsageError(
                "a file of that name is there", where=file, hint="keys are never written over: name another"
            ) from error
        raise FruixError(f"can't make the key: {error.strerror}", where=file) from error
