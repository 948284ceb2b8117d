"""Starting a sandboxed process, from the spawner's side: cgroup, pipes, clone, release."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fruix.sandbox import faults
from fruix.sandbox.linux import libc, seccomp, uplink
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent
from fruix.sandbox.linux.child import STEPS, Child, namespaces, run
from fruix.sandbox.networks import OWN
from fruix.sandbox.platform import Exit
from fruix.sandbox.spec import SandboxSpec

# How long a killed cgroup may take to become empty (seconds); its processes are dead by then, only the kernel is late.
EMPTY_TIMEOUT = 10.0

FAULT_STEPS = (
    faults.Step("cgroup", "make the cgroup", "spawner"),
    faults.Step("clone", "clone the first process", "spawner"),
    faults.Step("enter-cgroup", "put that process into the cgroup", "spawner", builder=True),
    faults.Step("release", "let that process begin", "spawner", builder=True),
    *(faults.Step(name, f"set-up inside: {name}", "builder", builder=True) for name, _ in STEPS),
)


@dataclass(slots=True)
class Started:
    """A sandbox that is being set up: `status` yields a report of failure, or its end once the program runs.

    With its first process the kernel ends all others of its namespace, so that one's descriptor tells of the end.
    """

    pid: int
    pidfd: int
    status: int
    cgroup: Cgroup | None
    beside: uplink.Beside | None = None

    def kill(self) -> None:
        """Kill the first process; the kernel kills the others of its namespace with it."""
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return

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
        code = os.waitstatus_to_exitcode(status)
        return Exit(
            code if code >= 0 else None,
            -code if code < 0 else None,
            used.get("user_usec", round(usage.ru_utime * 1e6)),
            used.get("system_usec", round(usage.ru_stime * 1e6)),
            max(used.get("memory_peak", 0) // 1024, usage.ru_maxrss),
            used.get("oom_kill", 0),
        )

    def clean(self) -> dict[str, int]:
        """After the first process has been reaped: be sure that nothing is left; returns what was used."""
        if self.beside is not None:
            self.beside.stop()
        if self.cgroup is None:
            return {}
        self.cgroup.kill()
        self.cgroup.wait_empty(EMPTY_TIMEOUT)
        usage = self.cgroup.usage()
        self.cgroup.remove()
        return usage


def start(spec: SandboxSpec, log: int, parent: CgroupParent | None) -> Started:
    """Clone the first process of a sandbox; it sets itself up on its own. Call in a single-threaded process only."""
    program = seccomp.build_filter(nested_namespaces=spec.nested_namespaces)
    pid, started, cgroup, pipes = -1, None, None, None
    ends: list[int] = []  # of pipes, to be closed here
    try:
        faults.reach("cgroup")
        cgroup = _cgroup(spec, parent)
        status, status_child = _pipe(ends)
        release_child, release = _pipe(ends)
        pipes = uplink.Pipes.make() if spec.network in OWN else None
        faults.reach("clone")
        with _entrance(cgroup) as descriptor:
            pid = libc.clone(namespaces(spec), descriptor)
        if pid == 0:
            for descriptor in (release, status):  # so that the parent's death is seen
                os.close(descriptor)
            if pipes is not None:
                pipes.keep_sandbox_ends()
            run(Child(spec, log, status_child, program, pipes), release_child)
        started = Started(pid, os.pidfd_open(pid), status, cgroup)
        faults.know("builder", pid)
        if pipes is not None:
            started.beside = uplink.start(spec, pipes)
        faults.reach("enter-cgroup")
        if cgroup is not None and started.beside is not None:
            cgroup.add(started.beside.pid)
        faults.reach("release")
        os.write(release, b"x")
        ends.remove(status)
    except BaseException:
        _undo(pid, started, cgroup)
        raise
    finally:
        for descriptor in ends:
            os.close(descriptor)
        if pipes is not None:
            pipes.close()
    return started


def _cgroup(spec: SandboxSpec, parent: CgroupParent | None) -> Cgroup | None:
    """The sandbox's group, with its limits, where there are groups."""
    if parent is None:
        return None
    cgroup = parent.create(spec.id)
    cgroup.set_limits(memory_max=spec.memory_max or None, pids_max=spec.pids_max or None)
    return cgroup


@contextmanager
def _entrance(cgroup: Cgroup | None) -> Iterator[int]:
    """An open group to be born in, or -1."""
    if cgroup is None:
        yield -1
        return
    descriptor = os.open(cgroup.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _pipe(ends: list[int]) -> tuple[int, int]:
    """A pipe whose ends are noted."""
    pair = os.pipe2(os.O_CLOEXEC)
    ends.extend(pair)
    return pair


def _undo(pid: int, started: Started | None, cgroup: Cgroup | None) -> None:
    """Nothing is left of a sandbox that could not be started."""
    if pid > 0:
        os.kill(pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
        os.waitpid(pid, 0)
    if started is not None:
        os.close(started.pidfd)
        started.clean()
    elif cgroup is not None:
        cgroup.remove()
