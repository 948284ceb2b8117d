"""bare_commands.py line|wait|log FILE: the least that commands in Python cost, for some rows.

`line`: the daemon at the socket FILE is greeted and asked for a build, then a line is written; `wait`:
after the greeting and the line the command waits for the daemon, and ^C ends the process at once;
`log`: a compressed log is written. Nothing is checked, parsed or drawn. A row where one of these is
behind a peer is one where a command in Python has to be. To be run by `python -IS`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import socket

_HELLO = (0x6E697863).to_bytes(8, "little") + (0x123).to_bytes(8, "little") + bytes(16)
_DRV = b"/frx/bare/store/00000000000000000000000000000000-asked-built.drv"  # `bare_daemon.BUILT`


def _greeted(file: str) -> socket.socket:
    import socket  # noqa: PLC0415 - not for logs

    stream = socket.socket(socket.AF_UNIX)
    stream.connect(file)
    stream.sendall(_HELLO)
    left = 16 + 16 + 8 + 8
    while left > 0:
        left -= len(stream.recv(left))
    return stream


def line(file: str) -> None:
    """Ask for a build, and write a line."""
    stream = _greeted(file)
    words = (9, 1, len(_DRV))
    request = b"".join(word.to_bytes(8, "little") for word in words) + _DRV + bytes(-len(_DRV) % 8)
    stream.sendall(request + bytes(8))
    os.write(1, b"1 to build\n")


def wait(file: str) -> None:
    """Wait for ^C."""
    import signal  # noqa: PLC0415 - this one's alone

    stream = _greeted(file)
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    os.write(1, b"begun-here\n")
    stream.recv(1)


def log(file: str) -> None:
    """Write what is in a log."""
    import bz2  # noqa: PLC0415 - this one's alone

    with open(file, "rb") as stream:
        os.write(1, bz2.decompress(stream.read()))


if __name__ == "__main__":
    {"line": line, "wait": wait, "log": log}[sys.argv[1]](sys.argv[2])
    os._exit(0)
