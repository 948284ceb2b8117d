"""From a process that the supervisor forked to a builder in its jail: the ordered steps, as a table.

Each step comes before the privilege that it needs is lost. Every descriptor but the standard ones
and the status pipe is closed before the jail is entered: entering is refused while a directory is
open, and on FreeBSD 12, where it is not, that would be a way out. A step that fails ends the
attempt, and the status pipe says which; a successful exec closes that pipe, which is how the
spawner learns of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from fruix import failpoints
from fruix.dataclass import dataclass
from fruix.sandbox.child_common import (
    SETUP_FAILED,
    EntryPoint,
    load_entry,
    run_entry,
    take_steps,
    take_terminal,
)
from fruix.sandbox.freebsd import abi, handover, jail
from fruix.sandbox.freebsd.abi import Pair
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.process_defaults import default_priority, default_signals, set_limits
from fruix.sandbox.spec import Exec, SandboxSpec

STATUS, ENTERED, CHANNEL = 3, 4, 5
"""Where the status pipe is, the one for the jail's number, and a parked one's channel; all else is closed."""
READY = b"r"
_LOGIN = b"frxbld"


@dataclass(slots=True)
class ChildState:
    """What the steps need, and what they find out for later ones.

    Attributes:
        entered: the supervisor is told here that the jail exists.
        supervisor: the process whose child this is.
        channel: over which it is told what to run, if it is to wait in its jail for that; -1: it knows.
    """

    kernel: Kernel
    spec: SandboxSpec
    jail: list[Pair]
    log: int
    status: int
    entered: int
    supervisor: int
    channel: int = -1
    entry: EntryPoint | None = None


def run(child: ChildState) -> NoReturn:
    """Take the steps, run the program. Never returns."""
    take_steps(child, STEPS if child.channel < 0 else PARKED_STEPS, lambda _child: None)


def _session(child: ChildState) -> None:
    """Begin a session without terminal, which ends with the supervisor.

    Nothing can be read, and both outputs go to the log.
    """
    os.setsid()
    death = bytearray(int(signal.SIGKILL).to_bytes(4, "little"))
    child.kernel.procctl(0, abi.PROC_PDEATHSIG_CTL, death)
    if os.getppid() != child.supervisor:  # it died before this was asked for
        os._exit(SETUP_FAILED)
    signal.set_wakeup_fd(-1)
    default_signals()
    default_priority()


def _load_entry(child: ChildState) -> None:
    child.entry = load_entry(child.spec)


def _descriptors(child: ChildState) -> None:
    if child.spec.terminal:
        take_terminal(child.log)
        source = child.log
    else:
        source = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    outputs = ((child.log, 1), (child.log, 2)) if child.log >= 0 else ()  # one that waits has the daemon's
    for descriptor, place in ((source, 0), *outputs):
        os.dup2(descriptor, place)
    kept = [child.status, child.entered, *([child.channel] if child.channel >= 0 else [])]
    # Each may be where another belongs, so none is moved there at once.
    high = [fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1) for pipe in kept]
    for place, descriptor in enumerate(high, STATUS):
        os.dup2(descriptor, place, inheritable=False)
    child.status, child.entered = STATUS, ENTERED
    child.kernel.closefrom(STATUS + len(kept))


def _login(child: ChildState) -> None:
    """Else getlogin(2) tells who started the daemon."""
    child.kernel.setlogin(_LOGIN)


def _jail(child: ChildState) -> None:
    number = jail.enter(child.kernel, child.jail)
    os.write(child.entered, b"%d" % number)
    os.close(child.entered)


def _loopback(child: ChildState) -> None:
    """Give lo0 its address and bring it up, if the jail has a network stack; ::1 comes by itself."""
    if abi.integer("vnet", abi.NEW) not in child.jail:
        return
    kernel = child.kernel
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:  # belongs to the stack of its maker
        kernel.ioctl(control.fileno(), abi.SIOCAIFADDR, abi.loopback_address())
        request = abi.interface_flags(0)
        kernel.ioctl(control.fileno(), abi.SIOCGIFFLAGS, request)
        flags = abi.interface_flags_in(request)
        if not flags & abi.IFF_UP:
            kernel.ioctl(control.fileno(), abi.SIOCSIFFLAGS, abi.interface_flags(flags | abi.IFF_UP))


def _wait(child: ChildState) -> None:
    """Say that the jail stands, and wait for what is to run in it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=CHANNEL) as channel:
        channel.send(READY)
        received = handover.receive(channel, 2)
    if received is None:
        os._exit(SETUP_FAILED)
    request, (log, status) = received
    child.spec = request.spec
    failpoints.arm(request.fault)
    for place in (1, 2):
        os.dup2(log, place)
    child.status = os.dup2(status, STATUS, inheritable=False)
    child.kernel.closefrom(STATUS + 1)


def _limits(child: ChildState) -> None:
    set_limits(child.spec.limits)
    os.umask(0o022)


def _drop(child: ChildState) -> None:
    """Take the build user's ids, by number since no user of a name has to exist, and check them."""
    uid, gid = child.spec.identity.uid, child.spec.identity.gid
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3 or not set(os.getgroups()) <= {gid}:
        ids = f"{os.getresuid()}:{os.getresgid()}, groups {os.getgroups()}"
        raise OSError(errno.EPERM, f"{os.strerror(errno.EPERM)}: ids are {ids}")


def _no_new_privileges(child: ChildState) -> None:
    """Set-id programs stay powerless, besides every mount being nosuid; kernels before 13 don't have it."""
    enable = bytearray(abi.PROC_NO_NEW_PRIVS_ENABLE.to_bytes(4, "little"))
    try:
        child.kernel.procctl(0, abi.PROC_NO_NEW_PRIVS_CTL, enable)
    except KernelError as error:
        release = abi.integer_in(child.kernel.sysctl(b"kern.osreldate"))
        if error.errno != errno.EINVAL or abi.has("no_new_privs", release):
            raise


def _program(child: ChildState) -> None:
    program = child.spec.program
    if isinstance(program, Exec):
        os.chdir(program.directory)
        os.execve(program.path, list(program.argv), dict(program.environment))  # noqa: S606 - a list, no shell
    assert child.entry is not None
    child.kernel.closefrom(STATUS)  # the spawner sees its end
    run_entry(child.entry, program.arguments)


STEPS: tuple[tuple[str, Callable[[ChildState], None]], ...] = (
    ("session", _session),
    ("load-entry", _load_entry),  # while there are files to import from
    ("descriptors", _descriptors),  # before the jail
    ("login", _login),  # as root, after the session
    ("jail", _jail),
    ("loopback", _loopback),  # still root in the jail
    ("limits", _limits),
    ("drop", _drop),
    ("no-new-privileges", _no_new_privileges),
    ("exec", _program),
)
PARKED_STEPS: tuple[tuple[str, Callable[[ChildState], None]], ...] = (
    *(step for step in STEPS[:6] if step[0] != "load-entry"),
    ("wait", _wait),
    *STEPS[6:],
)
