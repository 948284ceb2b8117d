"""Watching a running builder: its output, its end, its limits, and whether anybody still wants it.

The end of the output is not the end of the build (a builder may close its descriptors), and the end
of the builder is not the end of its output (a child may still hold the pipe): only the exit of the
sandbox's first process counts. What is left in the pipe is drained by the caller once everything is
dead.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator

from fruix.building.limits import INTERVAL
from fruix.building.queue.allowance import Allowance
from fruix.building.record.log import BuildLog
from fruix.model.reasons import Reason, reason

CHUNK = 1 << 16
# After less than so many bytes of output more is awaited for so long (seconds), and read at once: a
# configure script writes a hundred pieces of lines in a second, each of which would wake the daemon.
_SMALL = CHUNK // 4
_GATHER = 0.05
# A running log is made readable for others this often (seconds).
FLUSH_INTERVAL = 1.0
# A builder that has ended within this has its start told together with its end (seconds).
SOON = 0.005


def supervise(
    ended: int,
    output: int,
    waker: int,
    log: BuildLog,
    allowance: Allowance,
    watch: Callable[[], Reason | None] = lambda: None,
    on_delay: Callable[[], None] = lambda: None,
) -> Reason | None:
    """Feed `log` from `output` until `ended` is readable (None), or there is a reason to end it.

    `output` must be non-blocking; `watch` is asked every `INTERVAL`. Nothing is killed here. What
    passes a limit of the log is not kept. `on_delay` is called if nothing at all happens `SOON`.
    """
    poller, others = _poller(ended, output, waker), _poller(ended, waker)
    clock = _Clock()
    turns = _turns(poller, allowance, on_delay)
    while True:
        ready = next(turns)
        if waker in ready:
            return reason("cancelled")
        if output in ready:
            chunk = _read(output)
            if chunk == b"":
                poller.unregister(output)
            elif chunk:
                if (why := _feed(log, chunk, allowance)) is not None:
                    return why
                if len(chunk) < _SMALL:
                    others.poll(_GATHER * 1000)
        elif ended in ready:
            return None
        if (why := allowance.passed(log.size) or clock.tick(log, watch)) is not None:
            return why


def _poller(*descriptors: int) -> select.poll:
    """Waits until one of them is readable. Not `select`, which can't do with high numbers."""
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return poller


def _feed(log: BuildLog, chunk: bytes, allowance: Allowance) -> Reason | None:
    """Have output in the log, unless that is too much."""
    if (why := allowance.passed(log.size + len(chunk))) is None:
        log.feed(chunk)
        allowance.heard()  # only now: it may have waited for those who listen
    return why


def _turns(poller: select.poll, allowance: Allowance, on_delay: Callable[[], None]) -> Iterator[set[int]]:
    """The descriptors that are ready, again and again; none when something is to be looked at."""
    if not (events := poller.poll(SOON * 1000)):
        on_delay()
    while True:
        yield {descriptor for descriptor, _ in events or poller.poll(allowance.patience() * 1000)}
        events = []


class _Clock:
    """What happens by itself as time goes by."""

    def __init__(self) -> None:
        self._flushed = self._watched = time.monotonic()

    def tick(self, log: BuildLog, watch: Callable[[], Reason | None]) -> Reason | None:
        """Do what is due; a reason to end the build, if there is one."""
        now = time.monotonic()
        if now - self._flushed >= FLUSH_INTERVAL:
            log.flush()
            self._flushed = now
        if now - self._watched < INTERVAL:
            return None
        self._watched = now
        return watch()


def readable(descriptor: int, timeout: float) -> bool:
    """Whether there is something to read within `timeout` seconds."""
    return bool(_poller(descriptor).poll(timeout * 1000))


def drain(output: int, log: BuildLog, most: int) -> None:
    """Take what is left in the pipe, without waiting, up to a log of `most` bytes (0: all).

    All writers are dead.
    """
    while chunk := _read(output):
        if most and log.size + len(chunk) > most:
            return
        log.feed(chunk)


def _read(descriptor: int) -> bytes | None:
    """Bytes, b"" at the end, None if there is nothing right now."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
