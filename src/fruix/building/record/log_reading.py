"""Reading build logs, in whichever form they are (`log_file`); imports next to nothing."""

from __future__ import annotations

import errno
import os
import zlib

from fruix.errors import StoreError

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import IO

# Setting → how the name of a log ends.
ENDINGS: Mapping[str, str] = {"none": "", "bzip2": ".bz2", "gzip": ".gz"}


def bare_name(log_file: str) -> str:
    """The name without an ending."""
    return log_file.removesuffix(".gz").removesuffix(".bz2")


def find_log(log_file: str) -> str | None:
    """The file, in whichever form, of the log that has this name in one of them."""
    bare = bare_name(log_file)
    return next((bare + ending for ending in ENDINGS.values() if os.path.exists(bare + ending)), None)


def read_log(log_file: str) -> Iterator[bytes]:
    """The log's bytes in chunks, also of a build that still runs (what is there so far).

    Raises:
        FileNotFoundError: there is none, in no form.
        StoreError: it can't be unpacked.
    """
    return follow_log(log_file, None)


def follow_log(log_file: str, pause: Callable[[], None] | None) -> Iterator[bytes]:
    """The log's bytes, those to come too, to the build's end.

    `pause` is called when there is nothing new: it waits a moment. None: nothing to come is waited for.

    Raises:
        FileNotFoundError: there is none, in no form.
        StoreError: it can't be unpacked.
    """
    raw = _open(log_file)
    with raw, _unpacking(raw) as file:
        while True:
            # Asked before reading: what comes in between is not lost.
            written = pause is not None and _is_written(raw)
            yield from chunks_of(file, raw.name)
            if pause is None or not written:
                return
            pause()


def _open(log_file: str) -> IO[bytes]:
    bare = bare_name(log_file)
    for ending in ENDINGS.values():
        try:
            return open(bare + ending, "rb")
        except FileNotFoundError:
            continue
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), log_file)


def chunks_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    """What a file of that name has, in chunks.

    Raises:
        StoreError: it can't be unpacked.
    """
    try:
        while chunk := file.read1(1 << 16):  # type: ignore[attr-defined]
            yield chunk
    except EOFError:
        return  # a crash left it like that
    except (OSError, zlib.error) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise StoreError(f"not a build log: {error}", where=name) from error


def _unpacking(raw: IO[bytes]) -> IO[bytes]:
    if raw.name.endswith(".gz"):
        from gzip import GzipFile  # noqa: PLC0415 - not for others

        return GzipFile(fileobj=raw)  # type: ignore[return-value]
    if raw.name.endswith(".bz2"):
        import bz2  # noqa: PLC0415 - not every Python has it

        return bz2.BZ2File(raw)
    return raw


def _is_written(raw: IO[bytes]) -> bool:
    """Whether a build still writes it: nobody else can lock it alone then."""
    import fcntl  # noqa: PLC0415 - only to follow one

    try:
        fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(raw, fcntl.LOCK_UN)
    return False
