"""Being told to end (SIGTERM, SIGHUP): like ctrl-C, so that terminals are put right and files are written on the way out."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGHUP)


def end_in_order(*, once: bool = False) -> None:
    """From here on those signals raise `SystemExit` in the main thread, with 128 and the signal's number as the status.

    After an embedded daemon has been forked: it has its own ways to end.

    Args:
        once: further ones are ignored, since what is undone on the way out takes its time and must not be left half done.
    """

    def end(received: int, _frame: object) -> NoReturn:
        for number in ENDING if once else ():
            signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + received)

    for number in ENDING:
        signal.signal(number, end)
