"""Starting a sandbox, from the spawner's side: pipes, a supervisor, and what to do when that one dies."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from typing import Any

from fruix import failpoints
from fruix.dataclass import dataclass
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.freebsd import child, devices, supervisor
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.undo import end_foreign
from fruix.sandbox.spec import SandboxSpec

_CHUNK = 4096
FAILPOINTS = (
    failpoints.Step("devfs-rules", "look after the devfs ruleset", "spawner"),
    failpoints.Step("supervisor", "fork the supervisor", "spawner"),
    *(
        failpoints.Step(name, f"set-up outside: {name}", "supervisor", builder=True)
        for name, _ in supervisor.STEPS
    ),
    *(failpoints.Step(name, f"set-up inside: {name}", "builder", builder=True) for name, _ in child.STEPS),
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
        return Exit(**result["exit"])

    def _in_its_place(self) -> Exit:
        end_foreign(self.kernel, self.spec)
        return Exit(None, signal.SIGKILL, 0, 0, 0)


def start(kernel: Kernel, spec: SandboxSpec, log: int) -> Started:
    """Fork the supervisor, which does the rest. Call in a single-threaded process only."""
    failpoints.reach("devfs-rules")
    # Here, one after the other, so that no two supervisors do it at once.
    devices.ensure_ruleset(kernel, devices.ruleset_of(spec.id))
    failpoints.reach("supervisor")
    status, status_child = os.pipe()
    control_child, control = os.pipe()
    ended, result = os.pipe()
    birth, birth_child = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            supervisor.run(kernel, spec, (log, status_child, control_child, birth_child, result))
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
    return Started(kernel, spec, pid, status, ended, control, birth)
