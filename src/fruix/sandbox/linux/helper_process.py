"""A process that runs beside a sandbox, not in it, as the spawner sees it."""

from __future__ import annotations

import contextlib
import os
import signal

from fruix.dataclass import dataclass


@dataclass(slots=True)
class HelperProcess:
    """It ends by itself when the sandbox does, or by `stop`."""

    pid: int
    pidfd: int

    def stop(self) -> None:
        """Kill it, and with it what it has started; reap it."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)


def close_all_but(*kept: int) -> None:
    """Close what such a process got by being cloned: control sockets and logs of other sandboxes.

    The standard descriptors stay.
    """
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
