"""What a build may use: the operator's limits and the client's wishes, put together.

And the watch over what the kernel doesn't enforce.

Enforced by the kernel: the size of a file and the number of processes (resource limits of the build
user, whom no other build shares), and with a cgroup that has the controllers memory and processes
of the whole sandbox. Looked at every `INTERVAL` while the builder runs, so that it ends with a
reason and not with whatever it makes of a failed call: processes, memory, free space and free
inodes of the disks that it writes to. 0 is "no limit" everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from fruix.building.settings import BuildSettings
from fruix.dataclass import astuple, dataclass
from fruix.model.build_options import BuildOptions
from fruix.model.reasons import Reason, reason
from fruix.sandbox.back_ends import Usage, current

INTERVAL = 0.5
# Below this a failed build is said to have failed perhaps for want of space (bytes; the peers'
# figure).
NEARLY_FULL = 8 << 20
NEARLY_NO_INODES = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one build. Times in seconds, sizes in bytes."""

    timeout: int = 0
    max_silent_time: int = 0
    max_log_size: int = 0
    max_processes: int = 0
    max_memory: int = 0
    max_file_size: int = 0
    min_free: int = 0
    min_free_files: int = 0

    @classmethod
    def of(cls, options: BuildOptions, settings: BuildSettings) -> Limits:
        """A client may choose its times, up to the operator's limits for them.

        Of the rest only less than the operator allows.
        """
        timeout, silence = options.timeout, options.max_silent_time
        return cls(
            timeout=_lower(settings.timeout if timeout is None else timeout, settings.timeout_limit),
            max_silent_time=_lower(
                settings.max_silent_time if silence is None else silence, settings.silent_time_limit
            ),
            max_log_size=_lower(options.max_log_size or 0, settings.max_log_size),
            max_processes=settings.max_processes,
            max_memory=settings.max_memory,
            max_file_size=settings.max_file_size,
            min_free=settings.min_free,
            min_free_files=settings.min_free_files,
        )

    @classmethod
    def widest(cls, several: Iterable[Limits]) -> Limits:
        """What all of them together allow: each limit as wide as it is in any.

        There must be one.
        """
        first, *others = several
        if not others:
            return first
        rows = [astuple(limits) for limits in (first, *others)]
        return cls(*(0 if 0 in values else max(values) for values in zip(*rows, strict=True)))

    @property
    def processes_at_most(self) -> int:
        """What the kernel allows.

        Somewhat more than the limit, so that a build is seen passing it, and not only failing at
        it.
        """
        return self.max_processes and self.max_processes + self.max_processes // 8 + 16

    @property
    def resources(self) -> Mapping[str, tuple[int, int]]:
        """Resource limits for a sandbox specification."""
        wanted = {"nproc": self.processes_at_most, "fsize": self.max_file_size}
        return {name: (value, value) for name, value in wanted.items() if value}


def _lower(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other


class Watch:
    """Looks whether one running build has passed a limit."""

    def __init__(self, limits: Limits, pid: int, directories: Sequence[str]) -> None:
        """`pid`: the sandbox's first process.

        `directories`: one on each file system that the build can fill.
        """
        self._limits = limits
        self._pid = pid
        self._directories = directories

    def __call__(self) -> Reason | None:
        """The limit that has been passed, if one has."""
        return self._disks() or self._processes()

    def _disks(self) -> Reason | None:
        for directory in self._directories if self._limits.min_free or self._limits.min_free_files else ():
            status = os.statvfs(directory)
            if status.f_bavail * status.f_frsize < self._limits.min_free:
                return reason("disk", limit=self._limits.min_free, path=directory)
            # File systems that make inodes as they need them say that there are none.
            if status.f_files and status.f_favail < self._limits.min_free_files:
                return reason("inodes", limit=self._limits.min_free_files, path=directory)
        return None

    def _processes(self) -> Reason | None:
        if not self._limits.max_processes and not self._limits.max_memory:
            return None
        return passed(self._limits, current().usage(self._pid))


def passed(limits: Limits, usage: Usage | None) -> Reason | None:
    """Whether what a sandbox uses is too much."""
    if usage is None:
        return None
    if limits.max_processes and usage.processes > limits.max_processes:
        return reason("processes", limit=limits.max_processes)
    if limits.max_memory and usage.memory > limits.max_memory:
        return reason("memory", limit=limits.max_memory)
    return None


def nearly_full(directories: Sequence[str]) -> bool:
    """Whether one of the file systems has hardly any space or inodes left."""
    found = [os.statvfs(directory) for directory in directories]
    return any(
        status.f_bavail * status.f_frsize < NEARLY_FULL
        or (status.f_files and status.f_favail < NEARLY_NO_INODES)
        for status in found
    )
