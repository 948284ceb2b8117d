"""What the daemon logs: lines on descriptor 2, in the system's log once nobody reads that descriptor.

The reader may go first: daemon(8) of FreeBSD 13 hands SIGTERM on and ends at once, while this
process still ends its builds. Nothing is buffered, so that no line is lost, and none is left that
could not be written when the interpreter ends (it would change the exit status).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable

_STDERR = 2
_UNREAD = frozenset({errno.EPIPE, errno.EBADF, errno.EIO})  # EIO: a terminal that was closed


class LogHandler(logging.Handler):
    """Writes each record as one line."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("fruix daemon: %(message)s"))
        self._write: Callable[[bytes], None] = _to_stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Never fails: what can't be said must not keep the daemon from ending its builds."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")
            try:
                self._write(line)
            except OSError as error:
                if error.errno in _UNREAD and self._write is _to_stderr:
                    self._write = _system_log()
                    self._write(line)
        except Exception:  # noqa: BLE001 - logging's own way would print to the same descriptor
            self._write = _to_nobody


def log_to_stderr(level: int) -> None:
    """Write all that is logged from now on, in this process and those that it forks, by a `LogHandler`."""
    root = logging.getLogger()
    root.addHandler(LogHandler())
    root.setLevel(level)


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
