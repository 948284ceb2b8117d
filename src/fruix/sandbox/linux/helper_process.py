"""A process that runs beside a sandbox, not in it, as the spawner sees it."""

from __future__ import annotations

import os
import signal

from fruix.dataclass import dataclass
from fruix.sandbox.linux import libc


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
    lowest = 3
    for descriptor in sorted(kept):
        if descriptor > lowest:
            libc.close_from(lowest, descriptor - 1)
        lowest = max(lowest, descriptor + 1)
    libc.close_from(lowest)
