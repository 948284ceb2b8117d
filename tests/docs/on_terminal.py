"""Run a command on a terminal, and leave it as a person does: type `exit` at its prompt.

python on_terminal.py COMMAND…
"""

from __future__ import annotations

import contextlib
import os
import pty
import sys
from collections.abc import Sequence

PROMPT = b"$ "


def run(command: Sequence[str]) -> int:
    """Show what it prints; its exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], list(command))
    shown = b""
    with contextlib.suppress(OSError):  # of a terminal that nobody holds any more
        while data := os.read(terminal, 4096):
            shown = (shown + data)[-len(PROMPT) :]
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            if shown == PROMPT:
                os.write(terminal, b"exit\r")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
