"""Watching a running builder: its output, its end, its limits, and whether anybody still wants it.

The end of the output is not the end of the build (a builder may close its descriptors), and the end of the builder is not the end of
its output (a child may still hold the pipe): only the exit of the sandbox's first process counts. What is left in the
pipe is drained by the caller once everything is dead.
"""

from __future__ import annotations

import enum
import os
import select
import time
from dataclasses import dataclass

from fruix.build.logs import BuildLog

CHUNK = 1 << 16
# A running log is made readable for others this often (seconds).
FLUSH_INTERVAL = 1.0


class Ending(enum.Enum):
    """Why supervision ended."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIMEOUT = "timed out"
    SILENCE = "silent for too long"
    LOG_LIMIT = "log too long"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; 0 means none."""

    timeout: float
    max_silent_time: float


def supervise(ended: int, output: int, waker: int, log: BuildLog, limits: Limits) -> Ending:
    """Feed `log` from `output` until `ended` is readable, a limit is passed or `waker` is readable.

    `output` must be non-blocking. Nothing is killed here.
    """
    poller = select.poll()
    for descriptor in (ended, output, waker):
        poller.register(descriptor, select.POLLIN)
    begun = heard = flushed = time.monotonic()
    while True:
        ready = {descriptor for descriptor, _ in poller.poll(_patience(begun, heard, limits) * 1000)}
        if waker in ready:
            return Ending.CANCELLED
        if output in ready:
            chunk = _read(output)
            heard = time.monotonic() if chunk else heard
            if chunk == b"":
                poller.unregister(output)
            elif chunk and not log.feed(chunk):
                return Ending.LOG_LIMIT
        elif ended in ready:
            return Ending.EXITED
        if (ending := _limit_passed(begun, heard, limits)) is not None:
            return ending
        if time.monotonic() - flushed >= FLUSH_INTERVAL:
            log.flush()
            flushed = time.monotonic()


def _limit_passed(begun: float, heard: float, limits: Limits) -> Ending | None:
    now = time.monotonic()
    if limits.timeout and now - begun >= limits.timeout:
        return Ending.TIMEOUT
    if limits.max_silent_time and now - heard >= limits.max_silent_time:
        return Ending.SILENCE
    return None


def drain(output: int, log: BuildLog) -> None:
    """Take what is left in the pipe, without waiting: all writers are dead."""
    while chunk := _read(output):
        if not log.feed(chunk):
            return


def _patience(begun: float, heard: float, limits: Limits) -> float:
    """Seconds until the next thing that happens by itself."""
    now = time.monotonic()
    moments = [now + FLUSH_INTERVAL]
    if limits.timeout:
        moments.append(begun + limits.timeout)
    if limits.max_silent_time:
        moments.append(heard + limits.max_silent_time)
    return max(0.0, min(moments) - now) + 0.001


def _read(descriptor: int) -> bytes | None:
    """Bytes, b"" at the end, None if there is nothing right now."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
