"""The supervisor of a parked jail: it makes the jail (`parked_jail`), and waits for a build that it is for.

Then it is that build's supervisor, whether or not the jail could be made, and fits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from fruix import failpoints
from fruix.dataclass import dataclass
from fruix.sandbox.freebsd import child as children
from fruix.sandbox.freebsd import devices, handover, jail, mounts, reaper, supervisor
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.descriptors import drain, keep_only, readable, wake_on_exit
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.parked_jail import ParkedJail
from fruix.sandbox.freebsd.standing import Standing
from fruix.sandbox.freebsd.undo import PATIENCE
from fruix.sandbox.spawner.ipc import Failed, SpawnRequest, decode
from fruix.sandbox.spec import SandboxSpec

IDLE = 300.0
"""Seconds after which a jail is undone that no build has come for."""
DESCRIPTORS = 5
"""How many are handed over with a build: log, status, control, birth and report (`supervisor`)."""
_LOOK = 0.01  # seconds between looks whether the last build's mounts have gone
_LATE = 1.0  # seconds for that when a build waits


@dataclass(frozen=True, slots=True)
class Parking:
    """`requests`: over it a build comes, and its end says that none will. `wake`: of `wake_on_exit`."""

    jail: ParkedJail
    requests: socket.socket
    wake: int

    def prepare(self) -> None:
        """Make the jail; if that fails, say why in the daemon's log and undo it."""
        step = ""
        try:
            for step, action in STEPS:
                if handover.has_gone(self.requests):
                    raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
                failpoints.reach(step)
                action(self)
        except (OSError, ValueError) as error:
            if not isinstance(error, OSError) or error.errno != errno.ECANCELED:
                os.write(2, f"fruix: no jail stands ready: step '{step}': {error}\n".encode())
            self.jail.undo()

    def wait(self) -> tuple[SpawnRequest, list[int]] | None:
        """The build that it is for; None: there will be none."""
        until = time.monotonic() + IDLE
        while True:
            left = max(0.0, until - time.monotonic()) if self.jail.stands else None
            ready = readable((self.requests.fileno(), self.wake), left)
            if self.requests.fileno() in ready:
                return handover.receive(self.requests, DESCRIPTORS)
            drain(self.wake)
            if self.jail.stands and (not ready or self.jail.has_ended()):
                self.jail.undo()


def run(
    kernel: Kernel, spec: SandboxSpec, root: str, standing: Standing, lock: int, requests: int
) -> NoReturn:
    """The supervisor's whole life, in a freshly forked process; most arguments are as of `ParkedJail`."""
    status = 1
    try:
        failpoints.know("builder", os.getpid())
        lock, requests = keep_only(kernel, (lock, requests))
        reaper.acquire(kernel)
        parked = ParkedJail(kernel, spec, root, standing, lock)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=requests) as end:
            parking = Parking(parked, end, wake_on_exit())
            parking.prepare()
            received = parking.wait()
        if received is None:
            parked.undo()
        else:
            request, descriptors = received
            failpoints.arm(request.fault)
            failpoints.know("builder", os.getpid())
            failpoints.know("spawner", os.getppid())
            supervisor.supervise(kernel, request.spec, descriptors, parking.wake, parked)
        status = 0
    finally:
        os._exit(status)


# The steps, in order.


def _wait_for_tidying(here: Parking) -> None:
    """Until the daemon has unmounted what was the last build's own, behind its answer."""
    until = time.monotonic() + PATIENCE
    while any(not here.jail.standing.has(row, here.jail.root) for row in _mounted(here)):
        if time.monotonic() > until:
            raise OSError(errno.ETIMEDOUT, f"{os.strerror(errno.ETIMEDOUT)}: the last build's mounts stay")
        if handover.has_gone(here.requests):
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        if readable((here.requests.fileno(),), 0):  # a build has come; the last one's mounts should have gone
            until = min(until, time.monotonic() + _LATE)
        time.sleep(_LOOK)
    there = {row.target for row in _mounted(here)}
    if missing := [
        target
        for _, target, *_ in here.jail.standing.shown
        if os.fsencode(here.jail.root + target) not in there
    ]:
        raise OSError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}: not mounted", missing[0])


def _mounted(here: Parking) -> list[FileSystem]:
    return mounts.below(here.jail.kernel.getfsstat(), here.jail.root)


def _devices(here: Parking) -> None:
    devices.mount_devices(here.jail.kernel, f"{here.jail.root}/dev", devices.ruleset_of(here.jail.spec.id))


def _tmpfs(here: Parking) -> None:
    mounts.mount_tmpfs(here.jail.kernel, here.jail.spec.tmpfs, here.jail.root)


def _jail(here: Parking) -> None:
    parked = here.jail
    parked.parameters = parked.parameters_for(parked.spec)
    os.chdir("/")
    supervisor_pid = os.getpid()
    parked.channel, channel = handover.pair()
    status, status_child = os.pipe()
    entered, entered_child = os.pipe()
    pid = os.fork()
    if pid == 0:
        state = children.ChildState(
            parked.kernel, parked.spec, parked.parameters, -1, status_child, entered_child, supervisor_pid
        )
        state.channel = channel.detach()
        children.run(state)
    parked.child = pid
    channel.close()
    for descriptor in (status_child, entered_child):
        os.close(descriptor)
    with open(status, "rb", buffering=0) as reports, open(entered, "rb", buffering=0) as number:
        _see_it_stand(parked, reports.fileno())
        parked.jid = int(number.read(64) or b"0")


def _own(here: Parking) -> None:
    """From now on the jail can't outlive this process, where there are descriptors of jails."""
    here.jail.descriptor = jail.own(here.jail.kernel, here.jail.spec.id)
    here.jail.mounted = _mounted(here)


def _see_it_stand(parked: ParkedJail, reports: int) -> None:
    """Return when the process in the jail waits.

    Raises:
        OSError: it failed.
    """
    assert parked.channel is not None
    ready = readable((parked.channel.fileno(), reports), reaper.PATIENCE)
    if parked.channel.fileno() in ready:
        with contextlib.suppress(ConnectionError):
            if parked.channel.recv(len(children.READY)) == children.READY:
                return
    report = os.read(reports, 1 << 16) if reports in ready else b""
    if not report:
        raise OSError(errno.ETIMEDOUT, f"{os.strerror(errno.ETIMEDOUT)}: the jail doesn't stand")
    failed = decode(report)
    assert isinstance(failed, Failed)
    raise OSError(failed.errno or errno.EIO, f"step '{failed.step}' inside: {failed.detail}")


STEPS: tuple[tuple[str, Callable[[Parking], None]], ...] = (
    ("park-tidied", _wait_for_tidying),
    ("park-devices", _devices),
    ("park-tmpfs", _tmpfs),
    ("park-jail", _jail),
    ("park-own", _own),
)
