"""What a process of Fruix that waits for children does at its start."""

from __future__ import annotations

import signal


def hear_of_children() -> None:
    """Unblock all signals and stop ignoring SIGCHLD.

    Where it is, the kernel reaps children itself and waiting for them fails. What else is ignored
    stays so (SIGHUP by nohup).
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
