"""Signals that end a command: SIGTERM and SIGHUP end it as ctrl-C does, and none is missed.

Terminals are put right, files are written.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from fruix.client import RemoteStore

ENDING = (signal.SIGTERM, signal.SIGHUP)


def end_in_order(*, once: bool = False) -> None:
    """Have those signals raise `SystemExit` in the main thread, with 128 and their number.

    After an embedded daemon has been forked: it has its own ways to end.

    Args:
        once: further ones are ignored, since what is undone on the way out takes its time and must
            not be left half done.
    """

    def end(received: int, _frame: object) -> NoReturn:
        for number in ENDING if once else ():
            signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + received)

    for number in ENDING:
        signal.signal(number, end)


@contextmanager
def heard(store: RemoteStore) -> Iterator[None]:
    """Have a signal end the wait for the daemon at once, whichever thread gets it and whenever.

    Else one that comes between two calls of the system is heard with the next byte that arrives, and
    a builder may be silent for long.
    """
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    store.listen_to(reading)
    try:
        yield
    finally:
        store.listen_to(None)
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
