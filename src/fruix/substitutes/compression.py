"""The compressions of archives in binary caches, read as streams.

The standard library reads gzip, bzip2, xz and lzma; lzip is LZMA with a header and a trailer of its
own (https://www.nongnu.org/lzip/manual/lzip_manual.html#File-format); for zstd there is a module
since Python 3.14, and libzstd before. Nothing is held in memory but a piece and the algorithm's
window, of at most `MEMORY` bytes.
"""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from fruix.downloads.opener import GiveUpOnMirrorError
from fruix.errors import FormatError
from fruix.substitutes import libzstd

# Some Pythons are built without.
try:
    import bz2
except ImportError:
    _HAS_BZ2 = False
else:
    _HAS_BZ2 = True
try:
    import lzma
except ImportError:
    _HAS_LZMA = False
else:
    _HAS_LZMA = True

PIECE = 1 << 20
MEMORY = 256 << 20


class Decompressor(Protocol):
    """One member of a compressed file."""

    @property
    def eof(self) -> bool:
        """Whether it has been read to its end."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more of the file."""

    @property
    def unused_data(self) -> bytes:
        """What came behind it."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take more of the file; at most so many bytes of what it holds."""


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = not self._stream.unconsumed_tail and len(found) < max_length
        return found


class _Lzip:
    """A member: magic, version 1, size of the dictionary; LZMA; CRC-32 and sizes."""

    _HEADER, _TRAILER = 6, struct.Struct("<LQQ")

    def __init__(self) -> None:
        self._head = b""
        self._stream: Any = None
        self._checksum = self._size = self._taken = 0
        self._tail = b""
        self.eof = False
        self.unused_data = b""

    @property
    def needs_input(self) -> bool:
        return self._stream is None or self._stream.eof or self._stream.needs_input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._taken += len(data)
        if self._stream is None:
            self._head += data
            if len(self._head) < self._HEADER:
                return b""
            self._stream, data = self._open(), self._head[self._HEADER :]
        if self._stream.eof:
            self._end(data)
            return b""
        found: bytes = self._stream.decompress(data, max_length)
        self._checksum, self._size = zlib.crc32(found, self._checksum), self._size + len(found)
        if self._stream.eof:
            self._end(self._stream.unused_data)
        return found

    def _open(self) -> Any:
        magic, version, coded = self._head[:4], self._head[4], self._head[5]
        size = 1 << (coded & 0x1F)
        size -= (size >> 4) * (coded >> 5)
        if magic != b"LZIP" or version != 1 or not 1 << 12 <= size <= MEMORY:
            raise FormatError("no lzip file, or with too large a dictionary")
        chain = [{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": 3, "lp": 0, "pb": 2}]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)

    def _end(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) < self._TRAILER.size:
            return
        said, rest = self._TRAILER.unpack(self._tail[: self._TRAILER.size]), self._tail[self._TRAILER.size :]
        if said != (self._checksum, self._size, self._taken - len(rest)):
            raise FormatError("the checksum or a size is wrong")
        self.unused_data, self.eof = rest, True


def _xz(kind: str) -> Callable[[], Decompressor]:
    return lambda: lzma.LZMADecompressor(getattr(lzma, kind), memlimit=MEMORY)


def _zstd() -> Callable[[], Decompressor] | None:
    try:
        return importlib.import_module("compression.zstd").ZstdDecompressor  # type: ignore[no-any-return]
    except ImportError:
        return libzstd.ZstdDecompressor if libzstd.library is not None else None


_MODULES = {"bzip2": "bz2", "xz": "lzma", "lzma": "lzma", "lzip": "lzma"}
_MISSING = {name for name, has in (("bz2", _HAS_BZ2), ("lzma", _HAS_LZMA)) if not has}
# Name → what reads a member, or what is missing for that.
_KNOWN: Mapping[str, Callable[[], Decompressor] | str] = {
    "gzip": _Gzip,
    "bzip2": lambda: bz2.BZ2Decompressor(),  # noqa: PLW0108 - there may be no such module
    "xz": _xz("FORMAT_XZ"),
    "lzma": _xz("FORMAT_ALONE"),
    "lzip": _Lzip,
    "zstd": _zstd() or "libzstd, or Python 3.14, is needed to read it",
}
NONE = "none"
# The quickest to read first.
ORDER = ("zstd", NONE, "gzip", "lzip", "xz", "lzma", "bzip2")


def why_unreadable(compression: str) -> str:
    """What keeps this machine from reading a compression; empty if nothing does."""
    if (module := _MODULES.get(compression)) in _MISSING:
        return f"compression '{compression}': a Python with the module {module} is needed to read it"
    found = _KNOWN.get(compression, f"only {', '.join(sorted(ORDER))} can be read")
    if compression == NONE or not isinstance(found, str):
        return ""
    return f"compression '{compression}': {found}"


def decompressed(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """What a compressed file holds, of all its members, in pieces of at most `PIECE` bytes.

    Raises:
        GiveUpOnMirrorError: no such compression, or nothing here that reads it.
        FormatError: the file is damaged, or ends too early.
    """
    if compression == NONE:
        yield from chunks
        return
    if why := why_unreadable(compression):
        raise GiveUpOnMirrorError(why)
    make = _KNOWN[compression]
    assert not isinstance(make, str)
    try:
        yield from _members(chunks, make)
    except Exception as error:  # each library has its own kinds
        if isinstance(error, TimeoutError | ConnectionError) or getattr(error, "errno", None) is not None:
            raise  # of the network
        kinds = (OSError, EOFError, ValueError, FormatError, zlib.error)
        if isinstance(error, kinds) or type(error).__name__ in {"LZMAError", "ZstdError"}:
            raise FormatError(f"damaged ({compression}): {error}") from error
        raise


def _members(chunks: Iterable[bytes], make: Callable[[], Decompressor]) -> Iterator[bytes]:
    stream: Decompressor | None = None
    for chunk in chunks:
        left = chunk
        while left or not (stream is None or stream.eof or stream.needs_input):
            if stream is None or stream.eof:
                stream = make()
            if found := stream.decompress(left, PIECE):
                yield found
            left = stream.unused_data if stream.eof else b""
    if stream is None or not stream.eof:
        raise FormatError("it ends too early")
