"""The first process of a sandbox that stands ready: it takes the early steps, waits, and takes the others."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from typing import NoReturn

from fruix import failpoints
from fruix.dataclass import replace
from fruix.sandbox.child_common import SETUP_FAILED, take_steps
from fruix.sandbox.linux import identity, libc, seccomp
from fruix.sandbox.linux.child import EARLY_STEPS, STEPS, ChildState
from fruix.sandbox.linux.template import receive
from fruix.sandbox.spawner.ipc import SIZE, SpawnRequest
from fruix.sandbox.spec import Bind, File, Link, SandboxSpec, Tmpfs


class WaitingChild:
    """What all of them are given; made in the process that they come from, with all that they need once."""

    def __init__(self, spec: SandboxSpec) -> None:
        """`spec`: of which nothing counts but where the root is mounted."""
        self._spec = spec
        SpawnRequest.parse(_sample(spec))  # what this loads is there in all that are forked
        self._filter = seccomp.ready_filter()
        self._last_capability = identity.read_last_capability()

    def run(self, descriptors: Sequence[int], at_once: bool) -> NoReturn:
        """Never returns.

        Args:
            descriptors: of the channel from which the build comes, and the status pipe.
            at_once: the build is there already, and all steps are taken for it.
        """
        channel, status = descriptors
        child = ChildState(self._spec, -1, status, self._filter, self._last_capability)
        build = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=channel)

        def begin(_child: ChildState) -> None:
            # Should the spawner have died before this, the channel's end tells.
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)

        def wait(child: ChildState) -> None:
            with build:
                data, log = receive(build, SIZE, 1)
            if not log:
                os._exit(SETUP_FAILED)  # the parent died
            request = SpawnRequest.parse(data)
            failpoints.arm(request.fault)
            child.spec, child.log = request.spec, log[0]

        early = 0 if at_once else len(EARLY_STEPS)
        take_steps(child, (*STEPS[:early], ("wait", wait), *STEPS[early:]), begin)


def _sample(spec: SandboxSpec) -> bytes:
    """A request that has something of all that the first processes of builds usually read."""
    spec = replace(
        spec,
        binds=(Bind("/x", "/x"),),
        links=(Link("/x", "x"),),
        files=(File("/x", b"x"),),
        tmpfs=(Tmpfs("/x", 0, 0),),
    )
    return SpawnRequest(spec).to_bytes()
