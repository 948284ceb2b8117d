"""Writing for quick answers: nothing but plain text reaches a terminal, and all of it gets there."""

from __future__ import annotations

import os

_PLAIN = bytes([*range(0x20, 0x7F), 0x09, 0x0A])  # ASCII that does nothing to a terminal


def is_plain(data: bytes) -> bool:
    """Whether bytes are printable ASCII, tabs and line ends."""
    return not data.translate(None, _PLAIN)


def usable() -> bool:
    """Whether standard input, output and error are open."""
    try:
        for number in range(3):
            os.fstat(number)
    except OSError:
        return False
    return True


def write(data: bytes) -> None:
    """Write all of it to standard output.

    Raises:
        OSError: as the system says; nothing may have been written, or a part.
    """
    while data:
        data = data[os.write(1, data) :]
