"""Another program in place of this one: the last thing that a command does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

# Python ignores these for itself; a program expects what the system does by default.
_DEFAULTED = ("SIGPIPE", "SIGXFSZ")


def execute(program: str, words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process, whose status is the program's from then on.

    Args:
        program: its file.
        words: its name as it is told it, and its arguments.
        environment: all of it.

    Raises:
        OSError: it can't be executed; names the file.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    for name in _DEFAULTED:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(program, list(words), dict(environment))  # noqa: S606 - that is what was asked for
    except OSError as error:
        error.filename = program
        raise
