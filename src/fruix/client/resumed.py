"""A connection on which a quick command has asked already, for the whole client."""

from __future__ import annotations

import socket
from typing import Any

from fruix.errors import ProtocolError
from fruix.overriding import override


class ResumedStream(socket.socket):
    """What was sent isn't sent again, and what was heard is heard again.

    Its user begins anew, with the greeting, and has to send the same bytes.
    """

    def __init__(self, descriptor: int, sent: bytes, heard: bytes) -> None:
        """Take over `descriptor`."""
        super().__init__(fileno=descriptor)
        self._sent, self._heard = sent, heard

    @override
    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send what was not sent.

        Raises:
            ProtocolError: something else was sent.
        """
        if self._sent:
            data = bytes(data)
            again = data[: len(self._sent)]
            if not self._sent.startswith(again):
                raise ProtocolError("the whole command asks otherwise than it began")
            self._sent, data = self._sent[len(again) :], data[len(again) :]
        if data:
            super().sendall(data, flags)

    @override
    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive what was heard, then more."""
        if not self._heard:
            return super().recv(bufsize, flags)
        data, self._heard = self._heard[:bufsize], self._heard[bufsize:]
        return data
