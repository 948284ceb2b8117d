"""A sandbox that stands ready before there is a build for it: parked.

Its first process has taken the steps that are the same for every build (`child.EARLY_STEPS`) and waits for
a specification and a log. The steps and their order are those of any sandbox, and it holds nothing but its
own two descriptors. What a build may differ in comes after the word: what it shows, its names, limits, ids.

It fits builds without a network that run a program; others get a fresh sandbox, as do all when none stands
ready, when it has died, or when the host has mounted or unmounted anything since: it has a copy of the
host's mounts, which also holds what is unmounted. One is ready at most.

A group can't be renamed, and a process that is moved waits for all processors. So it is born in a group
below one of this spawner's own, in which it stays: the build's limits are written there when it is taken.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import NoReturn

from fruix import failpoints
from fruix.dataclass import replace
from fruix.sandbox import root_skeleton
from fruix.sandbox.back_ends import Sealed
from fruix.sandbox.child_common import SETUP_FAILED, take_steps
from fruix.sandbox.linux import identity, libc, seccomp
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent
from fruix.sandbox.linux.child import EARLY_STEPS, STEPS, ChildState, die_with_parent, namespaces
from fruix.sandbox.linux.helper_process import close_all_but
from fruix.sandbox.linux.identity import read_last_capability
from fruix.sandbox.linux.start import Started, entrance, pipe, undo
from fruix.sandbox.spawner.ipc import SIZE, SpawnRequest
from fruix.sandbox.spec import PREFIX, Bind, Exec, File, Identity, Link, SandboxSpec, Tmpfs

FAILPOINTS = (
    failpoints.Step("park-cgroup", "make the group of a sandbox to stand ready", "spawner", answered=True),
    failpoints.Step("park-clone", "clone its first process", "spawner", answered=True),
    failpoints.Step("park-wait", "have it wait for a build", "spawner", answered=True),
)
# Faults at these steps of a build strike in a fresh sandbox only.
_BEHIND = {"cgroup", "clone", "enter-cgroup", *(name for name, _ in EARLY_STEPS)}


def watch_mounts() -> int:
    """A descriptor that is ready for POLLPRI when the host's mounts have changed."""
    return os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)


class Parking:
    """What stands ready in this spawner; `name`: of the group of all."""

    def __init__(self, name: str, root: str, parent: CgroupParent | None) -> None:
        self.name = name
        self._spec = SandboxSpec(name, root, Identity(0, 0, 0, 0), Exec("", (), {}, "/"))
        self._group = parent.group(name) if parent else None
        self._made = 0
        self._ready: tuple[Started, socket.socket] | None = None

    def prepare(self) -> None:
        """Have one ready.

        Raises:
            OSError: it can't be made.
        """
        if self._ready is not None and _lives(self._ready[0]):
            return
        self._drop()
        pid, started, cgroup = -1, None, None
        ends: list[int] = []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            failpoints.reach("park-cgroup")
            cgroup = self._make_group()
            status, status_child = pipe(ends)
            child = ChildState(self._spec, -1, status_child, seccomp.ready_filter(), read_last_capability())
            failpoints.reach("park-clone")
            with entrance(cgroup) as descriptor:
                pid = libc.clone(namespaces(self._spec), descriptor)
            if pid == 0:
                _run(child, theirs)
            started = Started(pid, os.pidfd_open(pid), status, cgroup)
            failpoints.reach("park-wait")
            ends.remove(status)
        except BaseException:
            undo(pid, started, cgroup)
            ours.close()
            raise
        finally:
            theirs.close()
            for end in ends:
                os.close(end)
        self._ready = started, ours
        _rehearse(self._spec)

    def take(self, request: Sealed, log: int) -> Started | None:
        """Give a build to the one that stands ready, unread; None if there is none, or none that fits."""
        if self._ready is None or not request.plain or len(request.data) > SIZE:
            return None
        if request.fault.partition(":")[0] in _BEHIND:
            return None
        started, channel = self._ready
        if not _lives(started):
            self._drop()
            return None
        self._ready = None
        failpoints.know("builder", started.pid)
        try:
            with channel:
                if started.cgroup is not None:
                    started.cgroup.set_limits(memory_max=request.memory_max, pids_max=request.pids_max)
                failpoints.reach("release")
                socket.send_fds(channel, [request.data], [log])
        except BaseException as error:
            started.kill()
            started.finish()
            if isinstance(error, ConnectionError):  # it has just died
                return None
            raise
        return started

    def end(self) -> bool:
        """End the one that stands ready; whether the group of all is gone, too."""
        self._drop()
        return self._group is None or self._group.remove_if_empty()

    def _drop(self) -> None:
        if self._ready is not None:
            (started, channel), self._ready = self._ready, None
            with channel:
                started.kill()
                started.finish()

    def _make_group(self) -> Cgroup | None:
        """A group for the next one.

        Raises:
            OSError: it could not have all limits that a build's own group has.
        """
        if self._group is None:
            return None
        below = CgroupParent(self._group.path)
        if not os.path.isdir(below.path):
            os.mkdir(below.path)
            below.delegate()
            if below.withheld():
                raise OSError(errno.ENOTSUP, "controllers can't be handed on", below.path)
        self._made += 1
        return below.create(f"{PREFIX}{self._made}")


def _lives(started: Started) -> bool:
    """Whether it neither has ended nor reports a failure."""
    poller = select.poll()
    for descriptor in (started.ended, started.status):
        poller.register(descriptor, select.POLLIN)
    return not poller.poll(0)


def _run(child: ChildState, channel: socket.socket) -> NoReturn:
    """Take the early steps, wait for a build, take the others. Never returns."""

    def begin(child: ChildState) -> None:
        failpoints.arm("")
        # Nothing of other sandboxes, which begin and end while this one waits.
        close_all_but(channel.fileno(), child.status)
        die_with_parent(child)

    def wait(child: ChildState) -> None:
        _rehearse(child.spec)
        _rehearse_steps()
        with channel:
            data, descriptors, _, _ = socket.recv_fds(channel, SIZE, 1)
        if not descriptors:
            os._exit(SETUP_FAILED)  # the parent died
        request = SpawnRequest.parse(data)
        failpoints.arm(request.fault)
        child.spec, child.log = request.spec, descriptors[0]

    take_steps(child, (*EARLY_STEPS, ("wait", wait), *STEPS[len(EARLY_STEPS) :]), begin)


def _rehearse(spec: SandboxSpec) -> None:
    """Write and read a specification, so that a build need not wait for the copies of pages that this takes.

    After a fork the kernel makes one of each page, for whoever changes it first.
    """
    spec = replace(
        spec,
        binds=(Bind("/x", "/x"),),
        links=(Link("/x", "x"),),
        files=(File("/x", b"x"),),
        tmpfs=(Tmpfs("/x", 0, 0),),
    )
    SpawnRequest.parse(SpawnRequest(spec).to_bytes())


def _rehearse_steps() -> None:
    """The same for two steps that come after the word, with nothing left of them."""
    root_skeleton.make_files((File("/etc/x/x", b"x"),))
    os.unlink("etc/x/x")
    os.rmdir("etc/x")
    identity.capabilities()
