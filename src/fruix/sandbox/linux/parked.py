"""A sandbox that stands ready before there is a build for it: parked.

Its first process has taken the steps that are the same for every build (`child.EARLY_STEPS`) and waits for
a specification and a log. The steps and their order are those of any sandbox, and it holds nothing but its
own two descriptors. What a build may differ in comes after the word: what it shows, its names, limits, ids.

It fits builds without a network that run a program. When none stands ready, when it has died, or when the
host has mounted or unmounted anything since (it has a copy of the mounts, which also holds what is
unmounted), such a build gets one that is made at once; others are not made here. One is ready at most.

A group can't be renamed, and a process that is moved waits for all processors. So it is born in a group
below one of this spawner's own, in which it stays: the build's limits are written there when it is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket

from fruix import failpoints
from fruix.dataclass import dataclass
from fruix.sandbox.back_ends import Sealed
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent
from fruix.sandbox.linux.child import EARLY_STEPS, namespaces
from fruix.sandbox.linux.start import Started, entrance, pipe, undo
from fruix.sandbox.linux.template import Template
from fruix.sandbox.linux.waiting_child import WaitingChild
from fruix.sandbox.spawner.ipc import SIZE
from fruix.sandbox.spec import PREFIX, Exec, Identity, SandboxSpec

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


@dataclass(frozen=True, slots=True)
class _Asked:
    """One that the template was asked for: what the spawner holds of it."""

    status: int
    channel: socket.socket
    cgroup: Cgroup | None


class Parking:
    """What stands ready in this spawner; `name`: of the group of all."""

    def __init__(self, name: str, root: str, parent: CgroupParent | None) -> None:
        self.name = name
        self._spec = SandboxSpec(name, root, Identity(0, 0, 0, 0), Exec("", (), {}, "/"))
        self._group = parent.group(name) if parent else None
        self._made = 0
        self._template: Template | None = None
        self._asked: _Asked | None = None
        self._ready: tuple[Started, socket.socket] | None = None

    def prepare(self) -> None:
        """Have one made ready, if none is; returns at once.

        Raises:
            OSError: it can't be made.
        """
        if self._is_ready():
            return
        self._ask(at_once=False)
        try:
            failpoints.reach("park-wait")
        except OSError:
            self._drop()
            raise

    def _is_ready(self) -> bool:
        """Whether one is; of one that isn't any more, or could not be made, nothing is left."""
        with contextlib.suppress(OSError):  # it could not be made
            self._settle()
        if self._ready is not None and not _lives(self._ready[0]):
            self._drop()
        return self._ready is not None

    def _ask(self, *, at_once: bool) -> None:
        """Have one made; `at_once`: for a build that is there already."""
        if self._template is None:
            self._template = Template(WaitingChild(self._spec).run)
        cgroup = None
        ends: list[int] = []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            failpoints.reach("park-cgroup")
            cgroup = self._make_group()
            status, status_child = pipe(ends)
            failpoints.reach("park-clone")
            with entrance(cgroup) as descriptor:
                self._template.ask(
                    namespaces(self._spec), (theirs.fileno(), status_child), descriptor, at_once=at_once
                )
            ends.remove(status)
        except BaseException as error:
            undo(-1, None, cgroup)
            ours.close()
            self._end_template_after(error)
            raise
        finally:
            theirs.close()
            for end in ends:
                os.close(end)
        self._asked = _Asked(status, ours, cgroup)

    def take(self, request: Sealed, log: int) -> Started | None:
        """Give a build to the one that stands ready, unread, or to one made now; None if it doesn't fit."""
        if not request.plain or len(request.data) > SIZE or request.fault.partition(":")[0] in _BEHIND:
            return None
        if not self._is_ready():
            try:
                self._ask(at_once=True)
                self._settle()
            except OSError:  # it can't be made
                return None
        assert self._ready is not None
        (started, channel), self._ready = self._ready, None
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

    def _settle(self) -> None:
        """Hear what became of the one that was asked for.

        Raises:
            OSError: it could not be made.
        """
        if self._asked is None:
            return
        asked, self._asked = self._asked, None
        assert self._template is not None
        pid, started = -1, None
        try:
            pid = self._template.answer()
            started = Started(pid, os.pidfd_open(pid), asked.status, asked.cgroup)
        except BaseException as error:
            with asked.channel:
                undo(pid, started, asked.cgroup)
            os.close(asked.status)
            self._end_template_after(error)
            raise
        self._ready = started, asked.channel

    def end(self) -> bool:
        """End the one that stands ready; whether the group of all is gone, too."""
        self._drop()
        self._end_template()
        return self._group is None or self._group.remove_if_empty()

    def _end_template_after(self, error: BaseException) -> None:
        """If it has gone the next one is cloned from another."""
        if isinstance(error, ConnectionError):
            self._end_template()

    def _end_template(self) -> None:
        if self._template is not None:
            self._template.close()
            self._template = None

    def _drop(self) -> None:
        with contextlib.suppress(OSError):  # it could not be made
            self._settle()
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
