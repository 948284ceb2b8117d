"""Telling what goes on when somebody asks by signal: SIGUSR1, and SIGINFO (ctrl-T) where the system has it.

The work is done on a thread of its own, since a handler interrupts the main thread anywhere, also where it holds locks.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

NAMES = ("SIGUSR1", "SIGINFO")


def on_request(show: Callable[[], None]) -> None:
    """Call `show`, on another thread, each time that it is asked for. Main thread only."""

    def handler(*_: object) -> None:
        threading.Thread(target=show, name="inform", daemon=True).start()

    for name in NAMES:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, handler)
