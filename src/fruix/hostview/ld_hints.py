"""The directories in which FreeBSD's loader looks besides its built-in ones.

They are read from the file that ldconfig(8) keeps for it.

Layout (elf-hints.h): seven words of 32 bits in the machine's order, of which the first is the magic
number, the second the version, the third and fifth where the strings begin and the list in them,
the sixth its length; the list is separated by colons.
"""

from __future__ import annotations

import os
import struct

_HEADER = struct.Struct("=6I")
_MAGIC, _VERSION = 0x746E6845, 1
_LIMIT = 1 << 16


def directories_of(path: str) -> tuple[str, ...]:
    """The list, in order; empty if there is no such file or it is of another kind."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT)
    except OSError:
        return ()
    if len(data) < _HEADER.size:
        return ()
    magic, version, strings, _size, start, length = _HEADER.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION):
        return ()
    names = data[strings + start : strings + start + length].split(b":")
    return tuple(os.fsdecode(name) for name in names if name.startswith(b"/"))
