"""The FreeBSD back end behind the common interface (`sandbox.back_ends.BackEnd`)."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from fruix import failpoints
from fruix.failpoints import Step
from fruix.overriding import override
from fruix.sandbox.back_ends import BackEnd, Usage
from fruix.sandbox.capabilities import Probe
from fruix.sandbox.freebsd import jail, kept_roots, mounts, rctl, undo
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.libc import Libc
from fruix.sandbox.freebsd.standing import Standing
from fruix.sandbox.freebsd.start import FAILPOINTS, PARKING, Parked, Place, Started, start
from fruix.sandbox.networks import HOST, NONE
from fruix.sandbox.spec import SandboxSpec


class FreeBSDBackEnd(BackEnd):
    """A jail per sandbox, with a supervisor each.

    Args:
        kernel: the system calls; the running kernel's own by default.
    """

    kind = "freebsd-jail"
    user_namespaces = False
    can_hide = False  # it would take a mount for each directory
    costly_mounts = True  # tens of milliseconds each
    parks = False
    steps: Sequence[Step] = FAILPOINTS
    parking: Sequence[Step] = PARKING

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._given = kernel
        self._place: Place | None = None
        self._parked: Parked | None = None
        self._leaving: list[Parked] = []

    @cached_property
    def kernel(self) -> Kernel:
        """The system calls; loaded when they are first needed, since the system's name alone needs none."""
        return self._given or Libc()

    @override
    def begin(self) -> None:
        """Do nothing.

        The daemon's death is seen as the end of its socket, and every sandbox has to be undone
        then.
        """

    @override
    def start(self, spec: SandboxSpec, log: int) -> Started:
        if spec.hidden:
            raise OSError(errno.ENOTSUP, "directories can't be hidden in jails", spec.hidden[0])
        ready = None
        if self._parked is not None and self._parked.root == kept_roots.kept_root(spec):
            ready, self._parked = self._parked, None
        fault = failpoints.text()  # for what comes later, if it is that which is to fail
        ahead = fault if fault.partition(":")[0] in {step.name for step in self.parking} else ""
        return start(self.kernel, spec, log, partial(self._park, ahead), ready)

    def _park(self, fault: str, spec: SandboxSpec, standing: Standing) -> bool:
        """Have a jail stand ready for a build like one that has ended, in the place of any other: soon."""
        self._leave()
        with _said():
            self._place = Place.reserve(self.kernel, spec, standing, fault)
        return self._place is not None

    @override
    def prepare_next(self) -> None:
        if self._place is not None:
            place, self._place = self._place, None
            with _said():
                self._parked = place.park()

    @property
    def is_parked(self) -> bool:
        """Whether a jail stands ready, or is about to."""
        return self._parked is not None

    def _leave(self) -> None:
        if self._place is not None:
            place, self._place = self._place, None
            place.give_up()
        if self._parked is not None:
            self._parked.leave()
            self._leaving.append(self._parked)
            self._parked = None
        self._leaving = [parked for parked in self._leaving if not parked.wait(os.WNOHANG)]

    @override
    def unpark(self) -> bool:
        self._leave()
        for parked in self._leaving:
            parked.wait()
        self._leaving = []
        return True

    @override
    def tidy(self, spec: SandboxSpec, *, parked: bool = False) -> None:
        undo.tidy(self.kernel, spec, parked=parked)

    @override
    def park(self, name: str, root: str) -> int:
        """Do nothing: see `prepare_next`."""
        return -1

    @override
    def describe(self, spec: SandboxSpec) -> Mapping[str, Any]:
        """What is particular to a jail.

        The directories that are moved into the root instead of being mounted, whether it has a
        network stack of its own, and its limits.
        """
        return {
            "moved": [area.target for area in kept_roots.skeleton_of(spec).areas],
            "vnet": spec.network == NONE and jail.has_vnet(self.kernel),
            "jailLimits": sorted(rctl.wanted(spec)) if rctl.enabled(self.kernel) else [],
        }

    @override
    def has_users(self, uids: tuple[int, ...]) -> bool:
        return True

    @override
    def network_lacking(self, way: str) -> str:
        """Nothing for sharing the host's network, which a jail can.

        That is no way out: Unix sockets are files here, and no file is shared.
        """
        return "" if way == HOST else f"{way} is for Linux"

    @override
    def probes(self) -> Sequence[Probe]:
        """Imported when asked for: the daemon doesn't need them."""
        from fruix.sandbox.freebsd.probes import probes  # noqa: PLC0415

        return probes(self.kernel)

    @override
    def processes_of(self, uid: int) -> list[int]:
        return self.kernel.processes_of(uid)

    @override
    def builders_of(self, uid: int, name: str) -> list[int]:
        """Name all processes of the user: their numbers don't tell in which jail they are."""
        return self.kernel.processes_of(uid)

    @override
    def kill_process(self, pid: int, uid: int) -> None:
        """Numbers are all there is; they are looked up right before."""
        if pid in self.kernel.processes_of(uid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @override
    def usage(self, pid: int) -> Usage | None:
        """Add up what all processes of the build user use: no other build shares it."""
        used = self.kernel.usage_beside(pid)
        return used and Usage(*used)

    @override
    def mounts_below(self, directory: str) -> list[str]:
        """But for those of what stands ready."""
        ready = undo.standing_ready(directory)
        ours = mounts.below(self.kernel.getfsstat(), directory)
        parked = mounts.below(ours, *ready) if ready else []
        return [os.fsdecode(found.target) for found in ours if found not in parked]

    @override
    def marks(self, name: str) -> Mapping[str, str]:
        """Note the jail's name; a jail is also found by its path."""
        return {"jail": name}

    @override
    def end_leftovers(self, builds: str, marks: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Supervisors are waited for, jails below `builds` removed."""
        return undo.end_leftovers(self.kernel, builds, list(marks))

    @override
    def unmount_leftovers(self, builds: str) -> list[str]:
        return undo.unmount_leftovers(self.kernel, builds)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """An error goes to the daemon's log, and no further: builds go on without a jail that stands ready."""
    try:
        yield
    except OSError as error:
        os.write(2, f"fruix: no jail stands ready: {error}\n".encode())
