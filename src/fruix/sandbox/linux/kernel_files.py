"""Small files by which the kernel tells and is told: /proc, /sys, cgroups; and lists below /etc.

They are read as UTF-8, here and in the files beside this one, also where they are plain ASCII: of the
codecs only that of UTF-8 is there from Python's start, and inside of a new root no other can be imported.
"""

from __future__ import annotations

import os

_PIECE = 1 << 16


def text_of(path: str) -> str:
    """What a file says; nothing if it is gone or can't be read."""
    try:
        return read(path)
    except OSError:
        return ""


def read(path: str) -> str:
    """What a file says, all of it: opened, read to the end and closed, without a look at its size.

    Raises:
        OSError: it is gone or can't be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, _PIECE):
            pieces.append(piece)
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode("utf-8", "replace")


def write_to(path: str, text: str) -> None:
    """Write to a file that is there, in one call, as the kernel wants it.

    Raises:
        OSError: the kernel refuses.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
