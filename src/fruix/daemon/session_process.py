"""A process for each session of a Guix client, so that `guix processes` finds the session.

That command lists the processes called `guix-daemon` whose first argument is the number of a client's
process. Sessions are threads here, which no list of processes shows. So each has a process of `grep`
(100 KiB of its own) under that name, that waits for the end of its input and thus ends with the
session, or with the daemon however it ends. Starting one takes about 1 ms.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from fruix.log import Log

# Of the programs that are on every machine, one that reads its input to the end whatever its first
# argument says, and opens no file.
_PROGRAM = "grep"
_log = Log(__name__)


@contextmanager
def session_process(client: int) -> Iterator[None]:
    """Show a session with a client's process; nothing is shown where that isn't known (0)."""
    program = shutil.which(_PROGRAM) if client else None
    process = _start(program, client) if program else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.communicate()


def _start(program: str, client: int) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            ["guix-daemon", str(client)],
            executable=program,
            env={},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        _log.debug("'guix processes' won't show the session of process %d: %s", client, error)
        return None
