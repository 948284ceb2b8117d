"""Zstandard by libzstd, through ctypes: for Pythons before 3.14, which have no module of their own for it.

The library is looked for when this is imported, which is before a sandbox is sealed. A window of
more than 128 MiB is refused, as by the program.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_size_t, c_uint, c_void_p, create_string_buffer

from fruix.errors import FormatError

# Debian and others; FreeBSD's base system.
_FILES = ("libzstd.so.1", "libprivatezstd.so.5", "libzstd.so")


class _Buffer(Structure):
    """`ZSTD_inBuffer` and `ZSTD_outBuffer` are laid out alike."""

    _fields_ = (("data", c_void_p), ("size", c_size_t), ("position", c_size_t))


_PROTOTYPES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "ZSTD_createDStream": (c_void_p, ()),
    "ZSTD_freeDStream": (c_size_t, (c_void_p,)),
    "ZSTD_decompressStream": (c_size_t, (c_void_p, POINTER(_Buffer), POINTER(_Buffer))),
    "ZSTD_isError": (c_uint, (c_size_t,)),
    "ZSTD_getErrorName": (c_char_p, (c_size_t,)),
}


def _load() -> ctypes.CDLL | None:
    for name in _FILES:
        try:
            found = ctypes.CDLL(name)
            for function, (result, arguments) in _PROTOTYPES.items():
                call = getattr(found, function)
                call.restype, call.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return found
    return None


library = _load()


class ZstdDecompressor:
    """One frame; the interface of the standard library's decompressors."""

    def __init__(self) -> None:
        assert library is not None
        self._library = library
        self._stream = library.ZSTD_createDStream()
        if not self._stream:
            raise MemoryError
        self._left = b""
        self.eof = False
        self.needs_input = True

    def __del__(self) -> None:
        self._library.ZSTD_freeDStream(self._stream)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take more of the frame; at most so many bytes of what it holds.

        Raises:
            FormatError: it is none, or damaged.
        """
        given, room = self._left + data, create_string_buffer(max_length)
        source = _Buffer(ctypes.cast(c_char_p(given), c_void_p), len(given), 0)
        target = _Buffer(ctypes.cast(room, c_void_p), max_length, 0)
        left = 1
        while left and target.position < target.size:
            before = source.position, target.position
            left = self._library.ZSTD_decompressStream(self._stream, byref(target), byref(source))
            if self._library.ZSTD_isError(left):
                raise FormatError(self._library.ZSTD_getErrorName(left).decode("ascii", "replace"))
            if before == (source.position, target.position):
                break
        self._left = given[source.position :]
        self.eof = left == 0
        self.needs_input = not self._left and target.position < target.size
        return room.raw[: target.position]

    @property
    def unused_data(self) -> bytes:
        """What came behind the frame."""
        return self._left if self.eof else b""
