"""The Linux back end behind the common interface (`sandbox.back_ends.BackEnd`)."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from fruix.failpoints import Step
from fruix.overriding import override
from fruix.sandbox.back_ends import BackEnd, Sealed, Usage
from fruix.sandbox.capabilities import Probe
from fruix.sandbox.linux import inherited, landlock, libc, parked, processes, slirp, userns
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent, remove_left_over
from fruix.sandbox.linux.mounts import mounts_below
from fruix.sandbox.linux.start import FAILPOINTS, Started, start
from fruix.sandbox.linux.usage import read_usage
from fruix.sandbox.networks import HOST
from fruix.sandbox.spec import SandboxSpec

_CGROUP = "cgroup"  # in the marks


class LinuxBackEnd(BackEnd):
    """Namespaces, and a cgroup per sandbox where there is one."""

    kind = "linux-namespaces"
    user_namespaces = True
    can_hide = True
    costly_mounts = False
    parks = True
    steps: Sequence[Step] = (*FAILPOINTS, *parked.FAILPOINTS)

    def __init__(self) -> None:
        self._cgroups: CgroupParent | None = None
        self._parking: parked.Parking | None = None
        self._mounts = -1

    @override
    def begin(self) -> None:
        """Die with the daemon, settle what builders inherit, and find out where cgroups may be made."""
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        inherited.settle()
        landlock.abi()  # asked here, once
        self._cgroups = CgroupParent.find()
        if self._cgroups is not None:
            self._cgroups.make_way([os.getpid(), os.getppid()])

    @override
    def start(self, spec: SandboxSpec, log: int) -> Started:
        """Clone a first process; it sets itself up."""
        return start(spec, log, self._cgroups)

    @override
    def hand_over(self, request: Sealed, log: int) -> Started | None:
        return self._parking.take(request, log) if self._parking else None

    @override
    def park(self, name: str, root: str) -> int:
        if self._parking is None or self._parking.name != name:
            self.unpark()
            self._parking = parked.Parking(name, root, self._cgroups)
        if self._mounts < 0:
            self._mounts = parked.watch_mounts()
        self._parking.prepare()
        return self._mounts

    @override
    def unpark(self) -> bool:
        return self._parking is None or self._parking.end()

    @override
    def describe(self, spec: SandboxSpec) -> Mapping[str, Any]:
        """Without root: the ids that the host knows the builder by, and whether it shares the daemon's."""
        if not self._confined:
            return {}
        uid, gid = userns.on_host(spec.identity.uid, spec.identity.gid)
        return {
            "uid": uid,
            "gid": gid,
            "withoutRoot": "one id" if spec.identity.shared else "subordinate ids",
        }

    @override
    def probes(self) -> Sequence[Probe]:
        """Imported when asked for: the daemon doesn't need them."""
        from fruix.sandbox.linux.probes import PROBES  # noqa: PLC0415

        return PROBES

    @override
    def has_users(self, uids: tuple[int, ...]) -> bool:
        """Not in a user namespace into which only one user is mapped."""
        return userns.has_users(uids)

    @override
    def network_lacking(self, way: str) -> str:
        """Helpers have to be there; the host's network is shared only with Landlock's scoping."""
        if way != HOST:
            return slirp.lacking(way)
        version = landlock.abi()
        if version >= landlock.SCOPE_ABI:
            return ""
        return (
            f"sharing the host's network needs Landlock scoping (Linux 6.12; here Landlock version {version})"
        )

    @override
    def processes_of(self, uid: int) -> list[int]:
        return processes.processes_of(uid)

    @override
    def builders_of(self, uid: int, name: str) -> list[int]:
        """Those in another process namespace than the daemon's that see a sandbox's directories.

        A daemon in a container may have builders of the same user, and no lock in common with this one.
        """
        found = processes.processes_of(uid)
        return [pid for pid in found if processes.is_elsewhere(pid) and processes.sees(pid, name)]

    @override
    def kill_process(self, pid: int, uid: int) -> None:
        processes.kill_process(pid, uid)

    @override
    def usage(self, pid: int) -> Usage | None:
        return read_usage(pid)

    @override
    def mounts_below(self, directory: str) -> list[str]:
        return mounts_below(directory)

    @override
    def marks(self, name: str) -> Mapping[str, str]:
        group = self._parent and self._parent.group(name)
        return {_CGROUP: group.path} if group else {}

    @cached_property
    def _parent(self) -> CgroupParent | None:
        """Where the spawner makes groups, as the daemon finds it."""
        return CgroupParent.of_this_process()

    @cached_property
    def _confined(self) -> bool:
        return userns.confined()

    @override
    def end_leftovers(self, builds: str, marks: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Cgroups: namespaces have died with their processes."""
        groups = [Cgroup(known[_CGROUP]) for known in marks.values() if _CGROUP in known]
        return [f"cgroup {group.path}" for group in remove_left_over(groups)]

    @override
    def unmount_leftovers(self, builds: str) -> list[str]:
        return []
