"""Log lines that a client can cause at will, limited in number.

In a period of `PERIOD` seconds one user causes at most `LINES_OF_A_USER` lines and all users
together `LINES`. The last of them says that further ones are left out; the next period begins with
how many there were.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from fruix.log import Log

PERIOD = 60.0
LINES = 100
LINES_OF_A_USER = 10


class ClientLog:
    """Warnings about clients. Thread-safe; remembers at most `LINES` users."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._begun = clock()
        self._lines: Counter[int] = Counter()
        self._left_out = 0

    def warning(self, uid: int, text: str, *values: object) -> None:
        """Log a line about a client of this user, or count it as left out."""
        self._write(self._log.warning, uid, text, values)

    def exception(self, uid: int, text: str, *values: object) -> None:
        """Log an error of the program that a client met, with its traceback, or count it as left out."""
        self._write(self._log.exception, uid, text, values)

    def _write(self, write: Callable[..., None], uid: int, text: str, values: tuple[object, ...]) -> None:
        with self._lock:
            self._begin_period()
            own, total = self._lines[uid], self._lines.total()
            if own >= LINES_OF_A_USER or total >= LINES:
                self._left_out += 1
                return
            self._lines[uid] += 1
        write(text, *values)
        if own + 1 == LINES_OF_A_USER:
            self._log.warning("further lines about user %d are left out for up to %d s", uid, PERIOD)
        elif total + 1 == LINES:
            self._log.warning("further lines about clients are left out for up to %d s", PERIOD)

    def _begin_period(self) -> None:
        now = self._clock()
        if now - self._begun < PERIOD:
            return
        self._begun = now
        self._lines.clear()
        if self._left_out:
            self._log.warning("%d lines about clients were left out", self._left_out)
            self._left_out = 0
