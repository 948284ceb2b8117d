"""Starting a sandboxed process, from the spawner's side: cgroup, pipes, clone, release."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from fruix import failpoints
from fruix.dataclass import dataclass, field, replace
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.linux import libc, seccomp, slirp, socketcall
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent
from fruix.sandbox.linux.child import STEPS, ChildState, namespaces, run
from fruix.sandbox.linux.helper_process import HelperProcess
from fruix.sandbox.linux.identity import read_last_capability
from fruix.sandbox.networks import OWN
from fruix.sandbox.spec import SandboxSpec

# How long a killed cgroup may take to become empty (seconds); its processes are dead by then, only
# the kernel is late.
EMPTY_TIMEOUT = 10.0

FAILPOINTS = (
    failpoints.Step("cgroup", "make the cgroup", "spawner"),
    failpoints.Step("clone", "clone the first process", "spawner"),
    failpoints.Step("enter-cgroup", "put that process into the cgroup", "spawner", builder=True),
    failpoints.Step("release", "let that process begin", "spawner", builder=True),
    *(failpoints.Step(name, f"set-up inside: {name}", "builder", builder=True) for name, _ in STEPS),
)


@dataclass(slots=True)
class Started:
    """A sandbox that is being set up: `status` yields a report of failure, or its end once the program runs.

    With its first process the kernel ends all others of its namespace, so that one's descriptor
    tells of the end.
    """

    pid: int
    pidfd: int
    status: int
    cgroup: Cgroup | None
    helpers: list[HelperProcess] = field(default_factory=list)

    def kill(self) -> None:
        """Kill the first process; the kernel kills the others of its namespace with it."""
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return

    abandon = kill  # the kernel does what there is to tidy up

    @property
    def ended(self) -> int:
        """Readable once the first process has ended."""
        return self.pidfd

    def finish(self) -> Exit:
        """Reap the first process and be sure that nothing is left."""
        _, status, usage = os.wait4(self.pid, 0)
        used = self.clean()
        for descriptor in (self.status, self.pidfd):
            os.close(descriptor)
        ended = Exit.of(status, usage)
        return replace(
            ended,
            cpu_user_us=used.get("user_usec", ended.cpu_user_us),
            cpu_system_us=used.get("system_usec", ended.cpu_system_us),
            max_rss_kib=max(used.get("memory_peak", 0) // 1024, ended.max_rss_kib),
            oom_kills=used.get("oom_kill", 0),
        )

    def clean(self) -> dict[str, int]:
        """End helpers and cgroup when the first process has been reaped; returns what was used."""
        for helper in self.helpers:
            helper.stop()
        if self.cgroup is None:
            return {}
        usage = self.cgroup.usage()
        if self.cgroup.remove_if_empty():  # as the kernel sees it: nothing that is alive is in it
            return usage
        self.cgroup.kill()
        self.cgroup.wait_empty(EMPTY_TIMEOUT)
        usage = self.cgroup.usage()
        self.cgroup.remove()
        return usage


def start(spec: SandboxSpec, log: int, parent: CgroupParent | None) -> Started:
    """Clone the first process of a sandbox; it sets itself up on its own.

    Call in a single-threaded process only.
    """
    pid, started, cgroup, helpers = -1, None, None, Helpers()
    ends: list[int] = []  # of pipes, to be closed here
    try:
        failpoints.reach("cgroup")
        cgroup = _cgroup(spec, parent)
        status, status_child = pipe(ends)
        release_child, release = pipe(ends)
        helpers = Helpers.make(spec)
        child = ChildState(spec, log, status_child, seccomp.ready_filter(), read_last_capability())
        failpoints.reach("clone")
        with entrance(cgroup) as descriptor:
            pid = libc.clone(namespaces(spec), descriptor)
        if pid == 0:
            for descriptor in (release, status):  # so that the parent's death is seen
                os.close(descriptor)
            child.uplink, child.sockets = helpers.keep_sandbox_ends()
            run(child, release_child)
        started = Started(pid, os.pidfd_open(pid), status, cgroup)
        failpoints.know("builder", pid)
        helpers.start(spec, started.helpers)
        failpoints.reach("enter-cgroup")
        if cgroup is not None:
            for helper in started.helpers:
                cgroup.add(helper.pid)
        failpoints.reach("release")
        os.write(release, b"x")
        ends.remove(status)
    except BaseException:
        undo(pid, started, cgroup)
        raise
    finally:
        for descriptor in ends:
            os.close(descriptor)
        helpers.close()
    return started


@dataclass(frozen=True, slots=True)
class Helpers:
    """What leads to the processes that a sandbox needs beside it.

    The spawner closes its own ends when all have started.
    """

    pipes: slirp.Pipes | None = None
    ends: socketcall.Ends | None = None

    @classmethod
    def make(cls, spec: SandboxSpec) -> Helpers:
        """Make the connections that the specification calls for."""
        pipes = slirp.Pipes.make() if spec.network in OWN else None
        return cls(pipes, socketcall.Ends.make() if socketcall.wanted(spec) else None)

    def keep_sandbox_ends(self) -> tuple[slirp.Pipes | None, int]:
        """Close the helpers' ends, in the sandbox's first process; returns the answerer's socket, or -1."""
        if self.pipes is not None:
            self.pipes.keep_sandbox_ends()
        if self.ends is None:
            return self.pipes, -1
        os.close(self.ends.hears)
        return self.pipes, self.ends.says

    def start(self, spec: SandboxSpec, started: list[HelperProcess]) -> None:
        """Start each, and note it at once: should the next fail it has to be stopped."""
        if self.pipes is not None:
            started.append(slirp.start(spec, self.pipes))
        if self.ends is not None:
            started.append(socketcall.start(spec, self.ends))

    def close(self) -> None:
        """Close all ends, in the spawner, when all helpers have started."""
        for one in (self.pipes, self.ends):
            if one is not None:
                one.close()


def _cgroup(spec: SandboxSpec, parent: CgroupParent | None) -> Cgroup | None:
    """The sandbox's group, with its limits, where there are groups."""
    if parent is None:
        return None
    cgroup = parent.create(spec.id)
    cgroup.set_limits(memory_max=spec.memory_max, pids_max=spec.pids_max)
    return cgroup


@contextmanager
def entrance(cgroup: Cgroup | None) -> Iterator[int]:
    """An open group to be born in, or -1."""
    if cgroup is None:
        yield -1
        return
    descriptor = os.open(cgroup.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def pipe(ends: list[int]) -> tuple[int, int]:
    """A pipe whose ends are noted."""
    pair = os.pipe2(os.O_CLOEXEC)
    ends.extend(pair)
    return pair


def undo(pid: int, started: Started | None, cgroup: Cgroup | None) -> None:
    """Nothing is left of a sandbox that could not be started.

    `pid`: -1 if there is none, or it isn't known: whoever was cloned is in the group, this process's child.
    """
    for one in (pid,) if pid > 0 else cgroup.members() if cgroup is not None else ():
        os.kill(one, signal.SIGKILL)  # not waited for yet, so the number is still its own
        os.waitpid(one, 0)
    if started is not None:
        os.close(started.pidfd)
        started.clean()
    elif cgroup is not None:
        cgroup.remove()
