"""The files of a build log: plain while the build runs, then compressed, and only that.

Clients read these files themselves, each in the forms that its own daemon writes: Nix the plain
file, then `.bz2`; Guix `.gz`, then `.bz2`, then the plain one. So a running build's log is for
everybody, and a finished one is for both where it is packed by bzip2 (or not at all). The plain
file is whole before clients hear of the build's end, and goes when the packed one has its name. What
a crash leaves is the plain file, whole as far as it goes.

While a build runs its plain file is locked shared (flock), which is how `log_reading.follow_log` knows,
also after a crash, that more may come.

Cost: a write a chunk. A short log is packed at the end; one that grows long is packed as it grows, so
that the end takes no time: bzip2 packs about 12 MB a second, gzip a hundred.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from typing import IO, cast

from fruix.building.record.log_reading import ENDINGS, bare_name, chunks_of, find_log

# Uses 2.8 MB for each running build; 9, the most that there is, would be three times as much.
_BZIP2_LEVEL = 3
# A log of this size (bytes) is packed while it grows.
_LONG = 1 << 20
# How the name ends of what is being packed; a crash may leave that to the next build or start.
_UNFINISHED = ".packing"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def log_name(bare: str, compression: str) -> str:
    """The name that a log will have, from the one without an ending.

    Where Python lacks bzip2 that is the plain one, which all clients read, too.
    """
    return bare if compression == "bzip2" and find_spec("bz2") is None else bare + ENDINGS[compression]


class LogFile:
    """The log of a build that runs, as files. Not thread-safe."""

    def __init__(self, path: str) -> None:
        """`path`: the name that it will have."""
        self._path, self._bare = path, bare_name(path)
        self._size = 0
        self._plain: IO[bytes] | None = None
        self._packed: IO[bytes] | None = None
        self._closing = ExitStack()

    def begin(self) -> IO[bytes]:
        """Make the file, if there is none yet; what an earlier build left under any of its names goes."""
        if self._plain is None:
            self._plain = self._closing.enter_context(_open_locked(self._bare))
            for other in filter(None, ENDINGS.values()):
                with suppress(FileNotFoundError):
                    os.unlink(self._bare + other)
        return self._plain

    def write(self, data: bytes) -> None:
        """Add to it."""
        self.begin().write(data)
        self._size += len(data)
        if self._packed is not None:
            self._packed.write(data)
        elif self._size >= _LONG and self._path != self._bare:
            self._packed = self._pack()

    def flush(self) -> None:
        """Make what was written so far readable by others."""
        if not (plain := self.begin()).closed:
            plain.flush()

    def close(self) -> None:
        """Pack it; that takes the place of the plain file. Again: nothing."""
        plain = self.begin()
        with self._closing:
            if self._packed is None and self._path != self._bare and not plain.closed:
                if self._size:
                    self._pack()
                else:
                    _put_empty(self._bare, self._path)

    def _pack(self) -> IO[bytes]:
        """Begin to pack, with all that there is."""
        self.flush()
        return self._closing.enter_context(_packed(self._bare, self._path))


@contextmanager
def _packed(bare: str, path: str) -> Iterator[IO[bytes]]:
    """A file that has what the plain one `bare` has so far, and takes its place, packed, as `path`."""
    with (
        _replacing(bare, path) as descriptor,
        open(descriptor, "wb", closefd=False) as raw,
        _packing(raw, path.removeprefix(bare)) as packed,
    ):
        with open(bare, "rb") as plain:
            packed.writelines(chunks_of(plain, bare))
        yield packed


@contextmanager
def _replacing(bare: str, path: str) -> Iterator[int]:
    """A new file, open, which takes the place of the plain one as `path`, and goes if anything fails."""
    unfinished = bare + _UNFINISHED
    try:
        descriptor = os.open(unfinished, _WRITE | os.O_TRUNC, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        os.rename(unfinished, path)
        os.unlink(bare)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise


def _put_empty(bare: str, path: str) -> None:
    """The packed form of nothing, as `path`, in the place of the plain file `bare`: many are silent."""
    with _replacing(bare, path) as descriptor:
        os.write(descriptor, _empty(path.removeprefix(bare)))


@cache
def _empty(ending: str) -> bytes:
    file = BytesIO()
    _packing(file, ending).close()
    return file.getvalue()


def pack_left_over(path: str) -> bool:
    """Pack the plain log of a build that has ended, as `path`; whether there was one."""
    bare = bare_name(path)
    if path == bare or not os.path.exists(bare):
        return False
    with _packed(bare, path):
        return True


def add_log(path: str, chunks: Iterable[bytes]) -> None:
    """Write the log of a build that ran elsewhere, in the form of all logs.

    One that is there already stays.

    Nobody sees half of it: it gets its name when it is complete. All chunks are read in any case.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.new-{os.urandom(8).hex()}"
    try:
        with open(temporary, "xb") as raw, _packing(raw, path.removeprefix(bare_name(path))) as file:
            for chunk in chunks:
                file.write(chunk)
        if find_log(path) is None:
            with suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        os.unlink(temporary)


def _packing(raw: IO[bytes], ending: str) -> IO[bytes]:
    """What is written to it gets into `raw`, packed; its bytes depend on the log alone."""
    if ending == ".gz":
        from gzip import GzipFile  # noqa: PLC0415 - an idle daemon needs none

        return cast("IO[bytes]", GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0))
    if ending:
        import bz2  # noqa: PLC0415 - not every Python has it

        return bz2.BZ2File(raw, "wb", compresslevel=_BZIP2_LEVEL)
    return raw


def _open_locked(path: str) -> IO[bytes]:
    """The file, locked before it is emptied: a reader sees the old log, or one that grows."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, _WRITE, 0o644)
    with suppress(BlockingIOError):  # whoever holds it alone can't keep us from building
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    return os.fdopen(descriptor, "wb")
