"""What a running sandbox uses right now, for whoever looks at builds: asked of the system each time, nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass

from fruix.sandbox.back_ends import current


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time so far in microseconds, memory in bytes, number of processes and threads; of everything in the sandbox."""

    cpu_us: int
    memory: int
    processes: int


def usage_of(pid: int) -> Usage | None:
    """The usage of the sandbox whose first process is `pid`; None if it has ended or this system doesn't say."""
    found = current().usage(pid)
    return Usage(*found) if found else None
