"""Threads that leave signals to the main thread.

A signal for a process may be given to any of its threads. Python runs handlers in the main thread
alone, and a system call that the main thread waits in is not interrupted when another thread got
the signal: it is heard with the next byte that arrives, or never. So every other thread of Fruix
begins with all signals blocked.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fruix.overriding import override

# By which people ask what goes on; SIGINFO (ctrl-T) is not on every system.
ASKING = ("SIGUSR1", "SIGINFO")
_ALL = signal.valid_signals()
# The C function below the one of `signal`, which makes enumerations of all sets: 2 µs, not 250.
_mask = getattr(signal.pthread_sigmask, "__wrapped__", signal.pthread_sigmask)


class Thread(threading.Thread):
    """A thread that takes no signals and does not keep the process from ending."""

    def __init__(self, target: Callable[..., object], name: str, args: tuple[object, ...] = ()) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)

    @override
    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: the system gives no thread.
        """
        with signals_blocked():
            super().start()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """New threads inherit what their creator blocks; its own signals wait until the end of this."""
    before = _mask(signal.SIG_BLOCK, _ALL)
    try:
        yield
    finally:
        _mask(signal.SIG_SETMASK, before)


def on_request(show: Callable[[], None]) -> None:
    """Call `show` each time that somebody asks by signal what goes on. Main thread only.

    It is called on a thread of its own, since a handler interrupts the main thread anywhere, also
    where it holds locks.
    """

    def handler(*_: object) -> None:
        Thread(target=show, name="inform").start()

    for name in ASKING:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, handler)
