"""Refusing clients without a thread and without waiting.

A refusal is the same for all clients (see `handshake.refusal`) and fits into a new socket's buffer,
so that it is sent before the client has said anything. The client then sends its own greeting and
reads the error; if the socket were closed by then, its write would fail and hide the reason. So the
socket stays open until the client closes it, but not longer than `PATIENCE` seconds, and there are
never more than `MOST` of them, `MOST_OF_A_USER` of one user: then the oldest is closed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import OrderedDict

from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.protocol import handshake

PATIENCE = 5.0
MOST = 64
MOST_OF_A_USER = 8


@dataclass(frozen=True, slots=True)
class _Told:
    stream: socket.socket
    uid: int
    deadline: float


class Refused:
    """Sockets of clients that have been told why they are refused and have not left yet. For one thread."""

    def __init__(self, poller: select.poll) -> None:
        """`poller` says when a client leaves; then call `forget`."""
        self._poller = poller
        self._told: OrderedDict[int, _Told] = OrderedDict()

    def __len__(self) -> int:
        return len(self._told)

    def tell(self, stream: socket.socket, uid: int, error: FruixError) -> None:
        """Send the reason and keep the socket."""
        tell(stream, error)
        of_user = [descriptor for descriptor, told in self._told.items() if told.uid == uid]
        if len(of_user) >= MOST_OF_A_USER:
            self.forget(of_user[0])
        elif len(self._told) >= MOST:
            self.forget_oldest()
        self._told[stream.fileno()] = _Told(stream, uid, time.monotonic() + PATIENCE)
        self._poller.register(stream, 0)  # only the other end's closing

    def forget(self, descriptor: int) -> None:
        """Close the socket with this descriptor, if it is one of them."""
        if told := self._told.pop(descriptor, None):
            self._poller.unregister(told.stream)
            told.stream.close()

    def forget_oldest(self) -> bool:
        """Close the oldest; False if there is none."""
        if not self._told:
            return False
        self.forget(next(iter(self._told)))
        return True

    def expire(self) -> float | None:
        """Close those whose time is over; seconds until the next one's is, None if there is none."""
        while self._told:
            left = next(iter(self._told.values())).deadline - time.monotonic()
            if left > 0:
                return left
            self.forget_oldest()
        return None

    def close(self) -> None:
        """Close all sockets that are kept, at the daemon's end."""
        while self.forget_oldest():
            pass


def tell(stream: socket.socket, error: FruixError) -> None:
    """Send the reason, as far as the socket's buffer takes it."""
    with contextlib.suppress(OSError):
        stream.setblocking(False)
        stream.send(handshake.refusal(str(error), error.hint))
        stream.shutdown(socket.SHUT_WR)
