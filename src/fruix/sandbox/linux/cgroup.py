"""Control groups (v2): one per sandbox where the system allows it.

They give a kill that misses nobody, limits, and figures of what was used.

Namespaces alone already end with their first process. What a cgroup adds: `cgroup.kill` also
reaches helpers outside of them, `memory.max` and `pids.max` hold for the whole build, and CPU time
counts processes that nobody waited for. Where there is no writable v2 hierarchy all of this is
absent, and `fruix doctor` says so.

Interface: Documentation/admin-guide/cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Collection, Iterable
from functools import cache
from typing import Self

from fruix.dataclass import dataclass
from fruix.sandbox.linux.kernel_files import text_of, write_to
from fruix.sandbox.spec import NAME

_MOUNTS = "/proc/self/mountinfo"
LEAF = "fruix.daemon"  # where the daemon's own processes are, in a group that is delegated to it
_CONTROLLERS = ("memory", "pids", "cpu", "io")
_POLL = 0.001  # seconds, doubled up to the next figure
_LONGEST_POLL = 0.05
_REMOVE_PATIENCE = 10.0
# File, the controller that it belongs to, and its lines that are wanted, or what its only figure is called.
_USAGE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cpu.stat", "", ("user_usec", "system_usec")),  # without a controller, too
    ("memory.events", "memory", ("oom_kill",)),
)
_PEAKS = (("memory.peak", "memory", "memory_peak"), ("pids.peak", "pids", "pids_peak"))


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control group of one sandbox, by its path in the file system."""

    path: str

    def add(self, pid: int) -> None:
        """Move a process in; its children follow."""
        write_to(f"{self.path}/cgroup.procs", str(pid))

    def members(self) -> list[int]:
        """The processes in it."""
        return [int(pid) for pid in text_of(f"{self.path}/cgroup.procs").split()]

    def set_limits(self, *, memory_max: int = 0, pids_max: int = 0) -> list[str]:
        """Set limits (0: none); returns the names of those that this system's controllers can't enforce."""
        missing = []
        for name, value in (("memory.max", memory_max), ("pids.max", pids_max)):
            if value:
                try:
                    write_to(f"{self.path}/{name}", str(value))
                except OSError:
                    missing.append(name)
        if memory_max and "memory.max" not in missing:
            for name, text in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with contextlib.suppress(OSError):
                    write_to(f"{self.path}/{name}", text)
        return missing

    def kill(self) -> None:
        """Send SIGKILL to every process in it.

        At once where the kernel can (5.14), else one by one until none is left.
        """
        try:
            write_to(f"{self.path}/cgroup.kill", "1")
        except FileNotFoundError:
            for pid in self.members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def wait_empty(self, timeout: float) -> None:
        """Return when no process is left.

        Raises:
            TimeoutError: some are, after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        pause = _POLL
        while "populated 1" in text_of(f"{self.path}/cgroup.events"):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "processes that don't die", self.path)
            self.kill()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)

    def usage(self) -> dict[str, int]:
        """What was used, as far as the kernel says.

        Keys: `user_usec`, `system_usec`, `oom_kill`, `memory_peak` (bytes), `pids_peak`.
        """
        found: dict[str, int] = {}
        offered = _offered(self.path.rpartition("/")[0])
        for file, controller, names in _USAGE:
            for line in text_of(f"{self.path}/{file}").splitlines() if controller in offered else ():
                name, _, value = line.partition(" ")
                if name in names:
                    found[name] = int(value)
        for file, controller, name in _PEAKS:
            if controller in offered and (text := text_of(f"{self.path}/{file}")):
                found[name] = int(text)
        return found

    def remove_if_empty(self) -> bool:
        """Remove the group if there is neither a process in it nor another group."""
        try:
            os.rmdir(self.path)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def remove(self) -> None:
        """Remove the empty group, and groups that were made in it.

        The kernel may be a moment late in seeing that it is empty.

        Needs no descriptor if there are none in it: it has to work when there are too many open files.
        """
        deadline = time.monotonic() + _REMOVE_PATIENCE
        while True:
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
            else:
                return
            for inner, _, _ in os.walk(self.path, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(inner)
            time.sleep(_POLL)


@dataclass(frozen=True, slots=True)
class CgroupParent:
    """The daemon's own group, below which sandboxes get groups."""

    path: str

    @classmethod
    def find(cls) -> Self | None:
        """The daemon's group in the v2 hierarchy, wherever that is mounted.

        None unless it is writable and groups can be made in it.
        """
        parent = cls.of_this_process()
        if parent is None:
            return None
        # A name that nobody else has: daemons of several process namespaces may have the same number.
        probe = parent.group(f"frx-probe-{os.urandom(8).hex()}")
        try:
            os.mkdir(probe.path)
            os.rmdir(probe.path)
        except OSError:
            return None
        parent.delegate()
        return parent

    @classmethod
    def of_this_process(cls) -> Self | None:
        """The daemon's group, whether or not groups can be made in it."""
        mount, own = mount_point(), _own_group()
        if mount is None or own is None:
            return None
        return cls(os.path.normpath(f"{mount}/{own}").removesuffix(f"/{LEAF}"))

    def group(self, name: str) -> Cgroup:
        """The group of the sandbox `name`, made or not."""
        return Cgroup(f"{self.path}/{name}")

    def create(self, name: str) -> Cgroup:
        """A fresh group for one sandbox."""
        group = self.group(name)
        os.mkdir(group.path)
        return group

    def make_way(self, pids: Collection[int]) -> None:
        """Move the daemon's own processes into a leaf of its group.

        Only if that is what keeps controllers from the sandboxes' groups.

        A group with processes in it can't hand its controllers on. Only a group that is the daemon's alone
        is changed so (a service manager's delegated one); in any other, sandboxes go without those
        controllers.
        """
        if not self.withheld():
            return
        inside = {int(word) for word in text_of(f"{self.path}/cgroup.procs").split()}
        if not inside or not inside <= set(pids):
            return
        with contextlib.suppress(OSError):
            os.makedirs(f"{self.path}/{LEAF}", exist_ok=True)
            for pid in inside:
                write_to(f"{self.path}/{LEAF}/cgroup.procs", str(pid))
            self.delegate()

    def withheld(self) -> Collection[str]:
        """Controllers that are here, but not offered to the groups below."""
        offered = {*_CONTROLLERS} & {*text_of(f"{self.path}/cgroup.controllers").split()}
        return offered - {*text_of(f"{self.path}/cgroup.subtree_control").split()}

    def delegate(self) -> None:
        """Offer controllers to the groups below.

        Not possible while there are processes in this one, unless it is the root.
        """
        for controller in _CONTROLLERS:
            with contextlib.suppress(OSError):
                write_to(f"{self.path}/cgroup.subtree_control", f"+{controller}")


@cache
def _offered(parent: str) -> frozenset[str]:
    """The controllers of groups below one, as they were when the first had ended; "" for what needs none."""
    return frozenset(("", *text_of(f"{parent}/cgroup.subtree_control").split()))


def mount_point() -> str | None:
    """Where the v2 hierarchy is mounted."""
    for line in text_of(_MOUNTS).splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return before.split()[4]
    return None


def _own_group() -> str | None:
    for line in text_of("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def remove_left_over(groups: Iterable[Cgroup]) -> list[Cgroup]:
    """Kill and remove groups of a crashed daemon's sandboxes; returns those that there were.

    A path that is not that of a sandbox's group in the hierarchy is passed over, whoever wrote it down.
    """
    mount = mount_point()
    found = [group for group in groups if mount is not None and _is_sandbox(group.path, mount)]
    for group in found:
        group.kill()
        group.wait_empty(_REMOVE_PATIENCE)
        group.remove()
    return found


def _is_sandbox(path: str, mount: str) -> bool:
    parent, _, name = path.rpartition("/")
    below = f"{parent}/".startswith(f"{mount}/") and os.path.normpath(path) == path
    return below and NAME.fullmatch(name) is not None and os.path.isdir(path)
