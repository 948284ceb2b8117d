"""The archives that roots are made of, read from front to back: Debian packages, and tarballs.

A `.deb` is an ar(5) archive with `debian-binary`, `control.tar…` and `data.tar…`, in that order
(deb(5)); only the last is looked into. How a tar archive is compressed is known by its first bytes.

What is refused: what ends early, has another form, or unpacks to more than `RATIO` times its size.
Costs memory for a few blocks.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from fruix.errors import FormatError, FruixError

try:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    try:
        from backports import zstd  # type: ignore[import-not-found, unused-ignore, no-redef]
    except ImportError:
        zstd = None

RATIO = 200
"""An archive may unpack to so many times its size: those of Debian stay below 30."""
ALWAYS = 64 << 20
"""Bytes to which every archive may unpack: a small one may be of zeros."""

_AR = b"!<arch>\n"
_AR_HEADER = 60
_CHUNK = 1 << 18


def _zstd(packed: BinaryIO) -> Any:
    if zstd is None:
        raise FruixError(
            "it is compressed with zstd, which this Python can't read",
            hint="use Python 3.14, or install the module 'backports.zstd' for the daemon's Python",
        )
    return zstd.ZstdFile(packed)


def _same(packed: BinaryIO) -> Any:
    return packed


# The first bytes of a compressed file → what reads it.
_COMPRESSIONS: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x1f\x8b", lambda packed: gzip.GzipFile(fileobj=packed, mode="rb")),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"BZh", bz2.BZ2File),
)


@contextmanager
def opened(path: str, kind: str) -> Iterator[tarfile.TarFile]:
    """The archive of files in a piece; all of it has been read when the block has ended well.

    Args:
        path: of the piece.
        kind: `deb`; anything else is a tarball.

    Raises:
        FruixError: it is none, ends early, or unpacks to too much.
    """
    with open(path, "rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            section = _data_of(file, size) if kind == "deb" else _Section(file, size)
            packed = io.BufferedReader(section, _CHUNK)
            unpacked: Any = _Unpacked(packed, max(ALWAYS, RATIO * section.left))
            with tarfile.open(
                fileobj=unpacked, mode="r|", bufsize=_CHUNK, encoding="utf-8", errors="surrogateescape"
            ) as archive:
                yield archive
                unpacked.finish(archive.offset)
        except FruixError:
            raise
        except Exception as error:  # each compression has errors of its own
            raise FormatError(f"it can't be unpacked: {error}") from error


class _Section(io.RawIOBase):
    """The next `left` bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self.left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(memoryview(buffer)[: self.left])  # type: ignore[attr-defined]
        self.left -= count
        return int(count)


class _Unpacked:
    """The bytes of a tar archive that may be compressed, counted: what tarfile reads from."""

    def __init__(self, packed: Any, limit: int) -> None:
        start = packed.peek(8)
        self._file = next(
            (reader(packed) for magic, reader in _COMPRESSIONS if start.startswith(magic)), packed
        )
        self._limit = limit
        self._count = 0
        self._used = 0  # up to the last byte that is no zero

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        if stripped := len(data.rstrip(b"\0")):
            self._used = self._count + stripped
        self._count += len(data)
        if self._count > self._limit:
            raise FormatError(f"it unpacks to more than {self._limit} bytes, {RATIO} times its size")
        return data

    def finish(self, end: int) -> None:
        """Read to the end, which has to be zeros from `end` on, where tarfile has found no more members.

        It stops without a word at the first header that is none.
        """
        while self.read(_CHUNK):
            pass
        if self._count <= end or self._used > end:
            raise FormatError("it ends early" if self._count <= end else f"there is no member at byte {end}")


def _data_of(file: BinaryIO, size: int) -> _Section:
    """The member `data.tar…` of a Debian package."""
    if file.read(len(_AR)) != _AR:
        raise FormatError("it is no Debian package: it doesn't begin as an ar archive")
    number = 0
    while header := file.read(_AR_HEADER):
        name, length = _ar_member(header)
        if file.tell() + length > size:
            raise FormatError(f"it ends early: within its member '{name}'")
        if number == 0 and (name != "debian-binary" or file.read(length)[:2] != b"2."):
            raise FormatError("it is no Debian package of format 2")
        if name.startswith("data.tar"):
            return _Section(file, length)
        number += 1
        file.seek((length if number > 1 else 0) + length % 2, os.SEEK_CUR)
    raise FormatError("it has no member data.tar")


def _ar_member(header: bytes) -> tuple[str, int]:
    name, length = header[:16].rstrip(b" /"), header[48:58].strip()
    if len(header) < _AR_HEADER or header[58:] != b"`\n" or not length.isdigit():
        raise FormatError("it ends early, or a header in it is none")
    return name.decode("ascii", "replace"), int(length)
