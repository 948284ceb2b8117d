"""Small files by which the kernel tells and is told: /proc, /sys, cgroups; and lists below /etc.

They are read as UTF-8, here and in the files beside this one, also where they are plain ASCII: of the
codecs only that of UTF-8 is there from Python's start, and inside of a new root no other can be imported.
"""

from __future__ import annotations

import os


def text_of(path: str) -> str:
    """What a file says; nothing if it is gone or can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


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
