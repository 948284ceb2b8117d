"""What becomes the substitute helper, inside its sandbox."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from typing import Any

_ANSWERS = 4  # the descriptor on which it answers
_NOT_THERE = 127


def main(arguments: Mapping[str, Any]) -> int:
    """Give the helper its request, and a file for its answer; be it.

    Args:
        arguments: `command` (the file and its words), `environment`, `directory` (where it may write
            and begins), `request` (all that it is told), `answers` (name of the file), `most` (bytes of
            a file).

    Returns:
        The exit status, if there is no such program.
    """
    os.chdir(arguments["directory"])
    most = arguments["most"]
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    answers = os.open(arguments["answers"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.dup2(answers, _ANSWERS)
    os.set_inheritable(_ANSWERS, True)
    with open("request", "w+b", buffering=0) as request:
        request.write(arguments["request"].encode())
        request.seek(0)
        os.dup2(request.fileno(), 0)
    command = arguments["command"]
    try:
        os.execve(command[0], command, arguments["environment"])  # noqa: S606 - the operator's program
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    return _NOT_THERE
