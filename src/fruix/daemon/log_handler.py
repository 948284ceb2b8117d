"""What the daemon logs: lines on descriptor 2, in the system's log once nobody reads that descriptor.

The reader may go first: daemon(8) of FreeBSD 13 hands SIGTERM on and ends at once, while this
process still ends its builds. Nothing is buffered, so that no line is lost, and none is left that
could not be written when the interpreter ends (it would change the exit status).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from fruix.log import send_to

_STDERR = 2
_UNREAD = frozenset({errno.EPIPE, errno.EBADF, errno.EIO})  # EIO: a terminal that was closed


class LogHandler:
    """Writes lines."""

    def __init__(self) -> None:
        self._write: Callable[[bytes], None] = _to_stderr

    def say(self, text: str) -> None:
        """Never fails: what can't be said must not keep the daemon from ending its builds."""
        try:
            line = f"fruix daemon: {text}".encode("utf-8", "backslashreplace")
            try:
                self._write(line)
            except OSError as error:
                if error.errno in _UNREAD and self._write is _to_stderr:
                    self._write = _system_log()
                    self._write(line)
        except Exception:  # noqa: BLE001 - there is nobody left to tell
            self._write = _to_nobody


def log_to_stderr() -> None:
    """Write all that is logged from now on, in this process and those that it forks, by a `LogHandler`."""
    send_to(LogHandler().say)


def _to_stderr(line: bytes) -> None:
    left = memoryview(line + b"\n")
    while left:
        left = left[os.write(_STDERR, left) :]


def _system_log() -> Callable[[bytes], None]:
    import syslog  # noqa: PLC0415 - hardly ever needed

    syslog.openlog("fruix", syslog.LOG_PID, syslog.LOG_DAEMON)
    return lambda line: syslog.syslog(syslog.LOG_NOTICE, line.decode("utf-8", "replace").replace("\0", ""))


def _to_nobody(_line: bytes) -> None:
    pass
