"""Descriptors of a supervisor: which it keeps, what wakes it, what it waits for."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Sequence

from fruix.sandbox.freebsd.kernel import Kernel

_FIRST = 3  # the descriptors that are kept begin here
_HIGH = 64  # where none of those that are moved there can be
_DRAIN = 512


def keep_only(kernel: Kernel, descriptors: Sequence[int]) -> list[int]:
    """Close everything else: other sandboxes' pipes above all, whose ends would never be seen.

    The new numbers of those that are kept.
    """
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH) for descriptor in descriptors]
    kept = [os.dup2(descriptor, _FIRST + index, inheritable=False) for index, descriptor in enumerate(high)]
    kernel.closefrom(_FIRST + len(kept))
    return kept


def wake_on_exit() -> int:
    """A descriptor that becomes readable whenever a child ends."""
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def drain(wake: int) -> None:
    """Read what there is in a descriptor that doesn't block."""
    try:
        os.read(wake, _DRAIN)
    except BlockingIOError:
        return


def readable(descriptors: Sequence[int], timeout: float | None) -> set[int]:
    """Those of which something can be read, or their end, within that time (seconds; None: any)."""
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poller.poll(None if timeout is None else timeout * 1000)}
