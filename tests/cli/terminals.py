"""Commands on a terminal of their own."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence


def on_terminal(
    command: Sequence[str], variables: Mapping[str, str], *, columns: int = 0, cwd: str | None = None
) -> tuple[int, bytes]:
    """The status, and all that reaches the terminal.

    With `columns` it is so wide, and passes on what is written without any change.
    """
    outer, inner = os.openpty()
    if columns:
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        attributes = termios.tcgetattr(inner)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(inner, termios.TCSANOW, attributes)
    process = subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner, cwd=cwd
    )
    os.close(inner)
    written = b""
    try:
        while data := os.read(outer, 65536):
            written += data
    except OSError:
        pass  # the inner end is closed
    os.close(outer)
    return process.wait(), written
