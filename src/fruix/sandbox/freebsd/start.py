"""Starting a sandbox, from the spawner's side: pipes, a supervisor, and what to do when that one dies."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from fruix import failpoints
from fruix.dataclass import dataclass, replace
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.freebsd import (
    child,
    devices,
    handover,
    kept_roots,
    mounts,
    parked_jail,
    parking,
    supervisor,
)
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.standing import Standing
from fruix.sandbox.freebsd.undo import end_foreign, wait_for_lock
from fruix.sandbox.spawner.ipc import SpawnRequest
from fruix.sandbox.spec import SandboxSpec

_CHUNK = 4096
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})
Park = Callable[[SandboxSpec, Standing], bool]
FAILPOINTS = (
    failpoints.Step("devfs-rules", "look after the devfs ruleset", "spawner"),
    failpoints.Step("supervisor", "fork the supervisor", "spawner"),
    *(
        failpoints.Step(name, f"set-up outside: {name}", "supervisor", builder=True)
        for name, _ in supervisor.STEPS
    ),
    *(failpoints.Step(name, f"set-up inside: {name}", "builder", builder=True) for name, _ in child.STEPS),
)
PARKING = (
    failpoints.Step("park", "have a jail ready for the next build", "spawner", answered=True),
    *(
        failpoints.Step(name, f"set-up ahead: {name}", "supervisor", builder=True, answered=True)
        for name, _ in parking.STEPS
    ),
)


@dataclass(slots=True)
class Started:
    """A sandbox under its supervisor.

    `ended` yields the supervisor's report when everything is dead.
    """

    kernel: Kernel
    spec: SandboxSpec
    supervisor: int
    status: int
    ended: int
    control: int
    birth: int
    park: Park
    builder: int = 0

    @property
    def pid(self) -> int:
        """The builder's number once it has been forked, before that the supervisor's."""
        if not self.builder:
            with contextlib.suppress(BlockingIOError):
                self.builder = int(os.read(self.birth, _CHUNK) or b"0")
        return self.builder or self.supervisor

    def kill(self) -> None:
        """Tell the supervisor to end it."""
        with contextlib.suppress(OSError):  # it has ended, or was told often enough
            os.write(self.control, b"k")

    def abandon(self) -> None:
        """Let the supervisor see that it is alone: it then unmounts too."""
        os.close(self.control)
        self.control = -1

    def finish(self) -> Exit:
        """Wait for the supervisor's report and end; without a report, undo in its place."""
        data = b"".join(iter(lambda: os.read(self.ended, _CHUNK), b""))
        os.waitpid(self.supervisor, 0)
        for descriptor in (self.status, self.ended, self.control, self.birth):
            if descriptor >= 0:
                os.close(descriptor)
        if not data:
            return self._in_its_place()
        result: dict[str, Any] = json.loads(data)
        if result["left"]:
            raise OSError(errno.EBUSY, result["left"])
        ended = Exit(**result["exit"])
        if result["standing"] is None:
            return ended
        return replace(ended, parked=self.park(self.spec, Standing.parse(result["standing"])))

    def _in_its_place(self) -> Exit:
        end_foreign(self.kernel, self.spec)
        return Exit(None, signal.SIGKILL, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked jail, as the spawner holds it; `root`: the kept root that it is in."""

    kernel: Kernel
    root: str
    supervisor: int
    requests: socket.socket

    def hand_over(self, spec: SandboxSpec, descriptors: Sequence[int]) -> int | None:
        """Make its supervisor a build's; the number of that process. None: it has died."""
        # Its own parents are no processes that it knows the names of.
        fault = failpoints.text().replace(":daemon", f":{os.getppid()}")
        try:
            with self.requests:
                handover.send(self.requests, SpawnRequest(spec, fault), descriptors)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            os.waitpid(self.supervisor, 0)
            return None
        return self.supervisor

    def leave(self) -> None:
        """Have it undone; `wait` has to follow."""
        self.requests.close()

    def wait(self, options: int = 0) -> bool:
        """Whether it has ended; what a supervisor that was killed left is undone here.

        Raises:
            OSError: something can't be unmounted.
        """
        pid, status = os.waitpid(self.supervisor, options)
        if pid and status:
            mounts.unmount_below(self.kernel, self.root)
            kept_roots.remove_note(self.root)
        return bool(pid)


@dataclass(frozen=True, slots=True)
class Place:
    """A kept root that is reserved for a parked jail, with what stands in it; `fault`: armed for that."""

    kernel: Kernel
    spec: SandboxSpec
    root: str
    standing: Standing
    lock: int
    fault: str

    @classmethod
    def reserve(cls, kernel: Kernel, spec: SandboxSpec, standing: Standing, fault: str = "") -> Place:
        """That of a sandbox that has ended and left this mounted; the jail is to be for the like of it."""
        root = kept_roots.kept_root(spec)
        named = replace(spec, id=parked_jail.name_for(spec))
        lock = wait_for_lock(os.path.dirname(root))
        try:
            kept_roots.write_note(root, named.id)
        except BaseException:
            os.close(lock)
            raise
        return cls(kernel, named, root, standing, lock, fault)

    def park(self) -> Parked:
        """Fork the supervisor, which does the rest.

        Raises:
            OSError: it can't be forked; nothing stands any more.
        """
        requests, inner = handover.pair()
        try:
            with failpoints.armed(self.fault):
                failpoints.know("daemon", os.getppid())
                failpoints.know("spawner", os.getpid())
                failpoints.reach("park")
                devices.ensure_ruleset(self.kernel, devices.ruleset_of(self.spec.id))
                pid = os.fork()
                if pid == 0:
                    parking.run(self.kernel, self.spec, self.root, self.standing, self.lock, inner.fileno())
        except BaseException:
            requests.close()
            self.give_up()
            raise
        finally:
            inner.close()
        os.close(self.lock)
        return Parked(self.kernel, self.root, pid, requests)

    def give_up(self) -> None:
        """Have nothing stand there any more."""
        try:
            mounts.unmount_below(self.kernel, self.root)
            kept_roots.remove_note(self.root)
        finally:
            os.close(self.lock)


def start(
    kernel: Kernel, spec: SandboxSpec, log: int, park: Park = lambda *_: False, ready: Parked | None = None
) -> Started:
    """Fork the supervisor, which does the rest; or give it to that of the jail that stands `ready`.

    `park` is told of what may stay mounted when it has ended, and returns whether it does. Call in a
    single-threaded process only.
    """
    failpoints.reach("devfs-rules")
    # Here, one after the other, so that no two supervisors do it at once.
    devices.ensure_ruleset(kernel, devices.ruleset_of(spec.id))
    failpoints.reach("supervisor")
    status, status_child = os.pipe()
    control_child, control = os.pipe()
    ended, result = os.pipe()
    birth, birth_child = os.pipe()
    try:
        descriptors = (log, status_child, control_child, birth_child, result)
        taken = ready.hand_over(spec, descriptors) if ready is not None else None
        pid = os.fork() if taken is None else taken
        if pid == 0:
            supervisor.run(kernel, spec, descriptors)
    except BaseException:
        for descriptor in (status, control, ended, birth):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (status_child, control_child, birth_child, result):
            os.close(descriptor)
    failpoints.know("builder", pid)
    for descriptor in (control, birth):
        os.set_blocking(descriptor, False)
    return Started(kernel, spec, pid, status, ended, control, birth, park)
