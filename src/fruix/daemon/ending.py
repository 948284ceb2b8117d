"""When a daemon ends: at once, or when the builds that run have ended (it drains).

Wishes come from signal handlers and other threads, through a pipe that the server's main thread
waits for. A second wish to drain means at once.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable

from fruix.log import Log
from fruix.threads import Thread

log = Log(__name__)

# Seconds that clients have, after the last build, to take their results and to ask what they want
# to know about them.
FAREWELL = 5.0
_NOW, _DRAIN, _DRAINED, _LEFT = b"n", b"d", b"e", b"l"


class Ending:
    """The end of one server.

    `now`, `drain` and `client_left` may be called from anywhere, the rest by one thread.
    """

    def __init__(self, drain: Callable[[], None]) -> None:
        """`drain`: begins no more builds, and returns when none runs; it is called on a thread of its own."""
        self._drain = drain
        self._draining = False
        self._deadline: float | None = None
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._wakes = False

    def hear_signals(self) -> None:
        """Be readable with every signal that has a handler; for the main thread.

        One that comes between its last look at signals and its wait interrupts nothing: its handler
        would be run after the next connection, or never.
        """
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._wakes = True

    def fileno(self) -> int:
        """Readable when `hear` has something to hear."""
        return self._receiver.fileno()

    def now(self) -> None:
        """Have `hear` say that the time has come, whatever still runs."""
        self._say(_NOW)

    def drain(self) -> None:
        """End when what runs has ended; at once if that was wished before."""
        self._say(_DRAIN)

    def client_left(self) -> None:
        """One connection less: it may have been the last."""
        if self._deadline is not None:
            self._say(_LEFT)

    def hear(self, clients: Callable[[], int]) -> bool:
        """Whether the time to end has come; `clients`: how many connections there are."""
        try:
            said = self._receiver.recv(4096)
        except BlockingIOError:
            said = b""
        if _NOW in said or said.count(_DRAIN) + self._draining > 1:
            return True
        if _DRAIN in said:
            self._begin()
        if _DRAINED in said:
            log.info("no build runs any more")
            self._deadline = time.monotonic() + FAREWELL
        return self._deadline is not None and (time.monotonic() >= self._deadline or not clients())

    def due(self) -> float | None:
        """Seconds until `hear` should be asked whatever was said; None: no need."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def close(self) -> None:
        """Nobody is heard from here on."""
        if self._wakes:
            signal.set_wakeup_fd(-1)
        self._receiver.close()
        self._sender.close()

    def _begin(self) -> None:
        self._draining = True
        log.info("draining: builds that run go on to their end, no other one begins")
        Thread(target=self._wait, name="draining").start()

    def _wait(self) -> None:
        self._drain()
        self._say(_DRAINED)

    def _say(self, word: bytes) -> None:
        try:
            self._sender.send(word)
        except OSError:
            return  # it has ended, or there is so much unheard that one more says nothing new
