"""Ending a sandbox for certain.

Everything in the jail is killed, and the supervisor, to which orphans fall, waits until it has no
child left.

That proof is the criterion, not the jail's disappearance: a jail may stay "dying" for reasons of
the network alone.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator

from fruix.sandbox.freebsd import abi, jail
from fruix.sandbox.freebsd.kernel import Kernel, KernelError

PATIENCE = 30.0  # seconds for killed processes to be gone
_PAUSE = 0.001  # seconds, doubled up to the next figure
_LONGEST_PAUSE = 0.05


def acquire(kernel: Kernel) -> None:
    """Make this process the one whose children orphans among its descendants become."""
    kernel.procctl(os.getpid(), abi.PROC_REAP_ACQUIRE, None)


def end_descendants(kernel: Kernel, name: str, on_exit: Callable[[int, int], None]) -> None:
    """Kill the jail and all descendants; return when no process of them is left.

    Args:
        kernel: the system.
        name: the jail's.
        on_exit: told (pid, status) of each process that was waited for.

    Raises:
        OSError: ETIMEDOUT, some don't die.
    """
    until = time.monotonic() + PATIENCE
    for pause in _pauses(until):
        jail.remove(kernel, name)
        _kill_descendants(kernel)
        if reap(on_exit):
            break
        time.sleep(pause)
    wait_until_gone(kernel, name, until)


def reap(on_exit: Callable[[int, int], None]) -> bool:
    """Wait for those children that have ended; whether none is left at all."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False
        on_exit(pid, status)


def end_foreign(kernel: Kernel, name: str, uid: int) -> None:
    """The same for a sandbox whose supervisor has died.

    Its processes are nobody's to wait for, so it ends when none of its user is left.

    Raises:
        OSError: ETIMEDOUT, some don't die.
    """
    until = time.monotonic() + PATIENCE
    for pause in _pauses(until):
        if not jail.remove(kernel, name) and not kernel.processes_of(uid):
            return
        time.sleep(pause)


def wait_until_gone(kernel: Kernel, name: str, until: float) -> None:
    """Return when no jail of that name can be found any more."""
    for pause in _pauses(until):
        if not jail.remove(kernel, name):
            return
        time.sleep(pause)


def _kill_descendants(kernel: Kernel) -> None:
    """Kill the descendants of this process, which has to be a reaper.

    For another one the kernel would take its reaper's descendants instead, which are all processes
    of the system.
    """
    status = bytearray(abi.REAPER_SIZE)
    kernel.procctl(os.getpid(), abi.PROC_REAP_STATUS, status)
    if not abi.owns_descendants(status):
        raise OSError(errno.EPERM, f"{os.strerror(errno.EPERM)}: not the reaper of its descendants")
    try:
        kernel.procctl(os.getpid(), abi.PROC_REAP_KILL, abi.reaper_kill(signal.SIGKILL))
    except KernelError as error:
        if error.errno != errno.ESRCH:  # there is none
            raise


def _pauses(until: float) -> Iterator[float]:
    """How long to sleep before each further attempt."""
    pause = _PAUSE
    while time.monotonic() < until:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise OSError(errno.ETIMEDOUT, f"{os.strerror(errno.ETIMEDOUT)}: processes that don't die")
