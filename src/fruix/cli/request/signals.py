"""Being told to end (SIGTERM, SIGHUP): like ctrl-C, so that terminals are put right and files are written on the way out."""

from __future__ import annotations

import signal
import sys


def end_in_order() -> None:
    """From here on those signals raise `SystemExit` in the main thread, with 128 and the signal's number as the status.

    After an embedded daemon has been forked: it has its own ways to end.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
