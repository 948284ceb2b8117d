"""Waiting in tests: every wait has a deadline, and says what it waited for when that passes."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import IO, TypeVar

# Seconds. No test expects anything within it: it only ends a wait that would never end by itself.
PATIENCE = 120.0
_PAUSE = 0.01

Found = TypeVar("Found")


def until(probe: Callable[[], Found | None], what: str, patience: float = PATIENCE) -> Found:
    """Ask `probe` again and again until its answer is true, and return that answer.

    Raises:
        AssertionError: `patience` seconds have passed; names `what` and the last answer.
    """
    deadline = time.monotonic() + patience
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for: {what}; the last answer: {found!r}"
        time.sleep(_PAUSE)
    return found


def read_until(descriptor: int, end: bytes, patience: float = PATIENCE) -> bytes:
    """Read byte by byte, so that nothing after it is taken, until the data ends with `end`.

    Raises:
        AssertionError: that took longer than `patience` seconds, or the other side closed first.
    """
    deadline = time.monotonic() + patience
    data = b""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while not data.endswith(end):
        left = deadline - time.monotonic()
        assert left > 0, f"waited {patience:.0f} s for {end!r} after {data!r}"
        if not poller.poll(left * 1000):
            continue
        byte = os.read(descriptor, 1)
        assert byte, f"the other side closed before {end!r}, after {data!r}"
        data += byte
    return data


def exit_of(pid: int, patience: float = PATIENCE) -> int:
    """Wait for the end of a child process: its status, or the negative number of the signal.

    Raises:
        AssertionError: it still runs after `patience` seconds.
    """

    def ended() -> tuple[int, int] | None:
        found = os.waitpid(pid, os.WNOHANG)
        return found if found[0] else None

    return os.waitstatus_to_exitcode(until(ended, f"the end of process {pid}", patience)[1])


def line_with(stream: IO[str], text: str) -> str:
    """Read lines until one holds `text`, and return that one.

    Raises:
        AssertionError: the stream ended first; names the last lines of it.
    """
    seen: list[str] = []
    while text not in (line := stream.readline()):
        assert line, f"the stream ended without {text!r}, after {seen[-20:]}"
        seen.append(line)
    return line
