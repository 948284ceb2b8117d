"""The worker protocol on standard input and output, as `ssh-ng://HOST` starts it at the other end."""

from __future__ import annotations

import os
import socket
import sys

from fruix.cli.request.connect import open_stream
from fruix.store.tree.descriptors import write_all
from fruix.threads import Thread

_PIECE = 1 << 16


def serve_stdio() -> int:
    """Pass bytes between a client at standard input and output and the daemon, until one of them leaves.

    Where no daemon runs, one is embedded for it.

    Raises:
        FruixError: what keeps an embedded daemon from working.
    """
    with open_stream() as stream:
        relay(stream, sys.stdin.fileno(), sys.stdout.fileno())
    return 0


def relay(stream: socket.socket, reader: int, writer: int) -> None:
    """Pass bytes both ways until the daemon has left; the client's leaving is passed on."""

    def upwards() -> None:
        try:
            while data := os.read(reader, _PIECE):
                stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the daemon has left, which the other direction tells

    Thread(upwards, "to the daemon").start()
    while data := stream.recv(_PIECE):
        write_all(writer, data)
