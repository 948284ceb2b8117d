"""Starting a sandboxed process, from the spawner's side: cgroup, pipes, clone, release."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from fruix.sandbox.linux import libc, seccomp
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent
from fruix.sandbox.linux.child import Child, namespaces, run
from fruix.sandbox.spec import SandboxSpec

# How long a killed cgroup may take to become empty (seconds); its processes are dead by then, only the kernel is late.
EMPTY_TIMEOUT = 10.0


@dataclass(slots=True)
class Started:
    """A sandbox that is being set up: `status` yields a report of failure, or its end once the program runs."""

    pid: int
    pidfd: int
    status: int
    cgroup: Cgroup | None

    def kill(self) -> None:
        """Kill the first process; the kernel kills the others of its namespace with it."""
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return

    def clean(self) -> dict[str, int]:
        """After the first process has been reaped: be sure that nothing is left; returns what was used."""
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
    cgroup = parent.create(spec.id) if parent is not None else None
    status, status_child = os.pipe2(os.O_CLOEXEC)
    release_child, release = os.pipe2(os.O_CLOEXEC)
    try:
        pid = libc.clone(namespaces(spec))
        if pid == 0:
            os.close(release)  # so that the parent's death is seen
            run(Child(spec, log, status_child, program), release_child)
        pidfd = os.pidfd_open(pid)
        if cgroup is not None:
            cgroup.set_limits(memory_max=spec.memory_max or None, pids_max=spec.pids_max or None)
            cgroup.add(pid)
        os.write(release, b"x")
    except BaseException:
        os.close(status)
        if cgroup is not None:
            cgroup.remove()
        raise
    finally:
        for descriptor in (status_child, release_child, release):
            os.close(descriptor)
    return Started(pid, pidfd, status, cgroup)
