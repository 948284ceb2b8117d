"""End on SIGTERM and SIGHUP as on ctrl-C: terminals are put right, files are written."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

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
