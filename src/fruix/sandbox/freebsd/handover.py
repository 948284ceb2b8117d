"""Handing a sandbox's specification and descriptors to a process that was forked before it was known.

One message over a socket pair, with the specification in a nameless file: so its sender never waits
for the reader, however long it is.
"""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Sequence

from fruix.sandbox.spawner.ipc import SpawnRequest

_MESSAGE = b"s"


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends, alike."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, request: SpawnRequest, descriptors: Sequence[int]) -> None:
    """Hand over; OSError: nobody is there any more."""
    with tempfile.TemporaryFile() as file:
        file.write(request.to_bytes())
        file.seek(0)  # which writes it out
        socket.send_fds(channel, [_MESSAGE], [file.fileno(), *descriptors])


def receive(channel: socket.socket, count: int) -> tuple[SpawnRequest, list[int]] | None:
    """What was handed over, with `count` descriptors; None: the other end has gone.

    Raises:
        OSError: EMFILE, descriptors are lacking.
    """
    try:
        # Room for more: FreeBSD also wants to deliver padding, or drops them all.
        data, descriptors, _, _ = socket.recv_fds(channel, len(_MESSAGE), count + 2)
    except ConnectionError:
        return None
    if not data:
        return None
    if len(descriptors) != count + 1:
        raise OSError(errno.EMFILE, "descriptors were lost on the way")
    with open(descriptors[0], "rb") as file:
        return SpawnRequest.parse(file.read()), descriptors[1:]


def has_gone(channel: socket.socket) -> bool:
    """Whether the other end has, and left nothing to receive."""
    try:
        return not channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
