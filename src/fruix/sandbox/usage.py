"""What a running sandbox uses right now, for whoever looks at builds: asked of the system each time, nothing is kept."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time so far in microseconds, memory in bytes, number of processes; of everything in the sandbox."""

    cpu_us: int
    memory: int
    processes: int


def usage_of(pid: int) -> Usage | None:
    """The usage of the sandbox whose first process is `pid`; None if it has ended or this system doesn't say."""
    if not sys.platform.startswith("linux"):
        return None
    from fruix.sandbox.linux.usage import read_usage  # noqa: PLC0415 - platform code

    found = read_usage(pid)
    return Usage(*found) if found else None
