"""Which back end isolates builds here: the one place that knows that there are several.

A back end is chosen by the kernel that runs this process, once; the spawner inherits the choice
when it is forked. `use` puts another in its place, which only the testing package does (a double of
another system's calls).

The daemon's side needs nothing of a back end to wait for a build: it reads from a plain socket.
What differs by platform (process descriptors, pipes, reapers) stays behind `Started`, in the
spawner.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from resource import struct_rusage
from typing import Any, Protocol, Self, runtime_checkable

from fruix.dataclass import dataclass
from fruix.errors import SandboxError
from fruix.failpoints import Step
from fruix.sandbox.capabilities import Probe
from fruix.sandbox.spec import SandboxSpec


@dataclass(frozen=True, slots=True)
class Exit:
    """How a sandbox's program ended, when everything of it is dead.

    It has a `code` or a `signal`, and what all of it used.

    `oom_kills`: how often the limit on memory killed something of it, where the system counts that.
    `parked`: some of what was mounted for it stays for a sandbox that stands ready for the next build.
    """

    code: int | None
    signal: int | None
    cpu_user_us: int
    cpu_system_us: int
    max_rss_kib: int
    oom_kills: int = 0
    parked: bool = False

    @classmethod
    def of(cls, status: int, used: struct_rusage) -> Self:
        """Read what wait4(2) returns: a status and what was used; `used` may also be that of all children."""
        code = os.waitstatus_to_exitcode(status)
        return cls(
            code if code >= 0 else None,
            -code if code < 0 else None,
            round(used.ru_utime * 1e6),
            round(used.ru_stime * 1e6),
            used.ru_maxrss,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What everything in a sandbox uses.

    Processor time so far in microseconds, memory in bytes, number of processes and threads.
    """

    cpu_us: int
    memory: int
    processes: int


class Started(Protocol):
    """A sandbox that is being set up or runs, as the spawner holds it."""

    @property
    def pid(self) -> int:
        """A process of it, on the host."""

    @property
    def status(self) -> int:
        """A descriptor that yields a report of failure, or its end once the program runs.

        The report is an encoded `spawner.ipc.Failed`.
        """

    @property
    def ended(self) -> int:
        """A descriptor that is readable once the program has ended and nothing but `finish` is left to do."""

    def kill(self) -> None:
        """Kill everything in it; returns at once; harmless when it has ended."""

    def abandon(self) -> None:
        """Kill everything in it when nobody is left who would call `BackEnd.tidy` afterwards."""

    def finish(self) -> Exit:
        """Wait until nothing of it is alive, and close the descriptors: after `ended` or `kill`.

        Its directories are then where the specification has them; what is mounted stays (`BackEnd.tidy`).

        Raises:
            OSError: something is left.
        """


class Sealed(Protocol):
    """A request for a sandbox whose specification nobody has read yet (`spawner.ipc.SealedRequest`)."""

    data: bytes
    fault: str
    plain: bool
    memory_max: int
    pids_max: int


@runtime_checkable
class BackEnd(Protocol):
    """What a platform has to offer so that builds can be isolated on it."""

    @property
    def kind(self) -> str:
        """How builds are isolated, as build records call it."""

    @property
    def user_namespaces(self) -> bool:
        """Whether a builder can see other ids than those that it has on the host."""

    @property
    def can_hide(self) -> bool:
        """Whether a directory in what is bound can be shown empty (`SandboxSpec.hidden`)."""

    @property
    def costly_mounts(self) -> bool:
        """Whether a mount costs so much that what host views show is better copied than mounted by parts."""

    @property
    def steps(self) -> Sequence[Step]:
        """The steps of setting up, in order: it calls `failpoints.reach` before each."""

    parking: Sequence[Step] = ()
    """The steps of having a sandbox ready for the next build, where it does that."""

    def begin(self) -> None:
        """Prepare the spawner, which calls this before anything else."""

    def start(self, spec: SandboxSpec, log: int) -> Started:
        """Begin to set up a sandbox whose program writes to `log`; the spawner doesn't wait for it."""

    def hand_over(self, _request: Sealed, _log: int) -> Started | None:
        """Give a request, unread, to a sandbox that stands ready; None: it has to be started."""
        return None

    @property
    def parks(self) -> bool:
        """Whether `park` has an effect."""

    def park(self, name: str, root: str) -> int:
        """Have a sandbox ready for a build to come, if none is: the first that it fits gets it.

        Args:
            name: what the system may know it by, as by that of a specification.
            root: as of a specification.

        Returns:
            A descriptor that is ready for POLLPRI when it is no longer as if made now: then `unpark`. Always
            the same one; -1: there is none.

        Raises:
            OSError: it can't be made; nothing is left of it.
        """

    def tidy(self, spec: SandboxSpec, *, parked: bool = False) -> None:
        """Take away what is left of a sandbox of which nothing is alive: mounts, limits. Idempotent.

        Nothing to do where a kernel does that by itself. `parked`: as of its `Exit`.

        Raises:
            OSError: something can't be unmounted, so nothing of it may be deleted.
        """

    def prepare_next(self) -> None:
        """Have a sandbox stand ready for the next build, if the one that has ended can be followed up."""

    def unpark(self) -> bool:
        """End what stands ready for a build to come; whether nothing is left, also of those before it."""
        return True

    def describe(self, spec: SandboxSpec) -> Mapping[str, Any]:
        """What build records say of this platform's isolation, besides the specification."""

    def has_users(self, uids: tuple[int, ...]) -> bool:
        """Whether processes can run as these users here; if not, all builds share the daemon's own."""

    def network_lacking(self, way: str) -> str:
        """Why builds can't have the network by this way (see `networks`); empty if they can."""

    def probes(self) -> Sequence[Probe]:
        """What `fruix doctor` tries on this platform, in its order."""

    def processes_of(self, uid: int) -> list[int]:
        """Living processes of a user, by number; those that only wait to be reaped don't count."""

    def builders_of(self, uid: int, name: str) -> list[int]:
        """Those of them that live in a sandbox whose name holds `name`.

        As far as the system tells sandboxes apart.

        Where it doesn't, only the lock of the user tells whose they are (`UserLocks`), and that
        only among daemons that share the locks.
        """

    def kill_process(self, pid: int, uid: int) -> None:
        """Kill a process if it still is one of that user and may be killed."""

    def usage(self, pid: int) -> Usage | None:
        """What the running sandbox of which `pid` is a process uses now.

        None if it has ended or the system doesn't say.
        """

    def mounts_below(self, directory: str) -> list[str]:
        """Mount points in a directory, as the daemon sees them."""

    def marks(self, name: str) -> Mapping[str, str]:
        """What the system will know by a name of the sandbox `name`, which is about to be made.

        For the journal: kind → name.
        """

    def end_leftovers(self, builds: str, marks: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Kill what a crashed daemon's sandboxes left running; what was ended, a line each.

        Only what belongs to them for certain: other daemons build on this machine.

        Args:
            builds: the directory in which that daemon's sandboxes had their directories.
            marks: what its journal tells of them: name of a sandbox → its marks.
        """

    def unmount_leftovers(self, builds: str) -> list[str]:
        """Then unmount what is still mounted below `builds`; a line each.

        Raises:
            OSError: something can't be unmounted, so nothing there may be deleted.
        """


# The beginning of `sys.platform` → module:attribute of its back end.
_BACK_ENDS: Mapping[str, str] = {
    "linux": "fruix.sandbox.linux.back_end:LinuxBackEnd",
    "freebsd": "fruix.sandbox.freebsd.back_end:FreeBSDBackEnd",
}
_used: BackEnd | None = None


def use(back_end: BackEnd) -> None:
    """Isolate with this one from now on; before the spawner is started. For tests."""
    global _used  # noqa: PLW0603 - one per process, by its nature
    _used = back_end


def current() -> BackEnd:
    """The back end in use.

    Raises:
        SandboxError: there is none for this system.
    """
    if _used is None:
        use(_of_this_system(sys.platform))
    assert _used is not None
    return _used


def _of_this_system(name: str) -> BackEnd:
    for prefix, where in _BACK_ENDS.items():
        if name.startswith(prefix):
            module, _, attribute = where.partition(":")
            back_end = getattr(importlib.import_module(module), attribute)()
            assert isinstance(back_end, BackEnd)
            return back_end
    raise SandboxError("platform", 0, f"builds can't be isolated on {name}", hint="use Linux or FreeBSD")
