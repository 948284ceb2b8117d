"""Processes: who runs as whom, whose child is whose, who is in which namespace; from /proc.

Killing by descriptor, so that none is mistaken.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterator

from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.linux import libc

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
# Linux's alone; by these names also where a test has taken them away, so that the rest is seen to do without.
_open_process, _signal_process = os.pidfd_open, signal.pidfd_send_signal
_ROUNDS = 200  # how often a killed set of processes is looked at again for new ones
_REAP_STATUS = struct.Struct("=IIIii60x")


def _all() -> Iterator[tuple[int, dict[str, str]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with (
                contextlib.suppress(OSError),
                open(f"/proc/{entry}/status", encoding="utf-8", errors="replace") as file,
            ):
                fields = dict(line.partition(":\t")[::2] for line in file.read().splitlines())
                if fields.get("State", "Z")[0] not in "ZX":
                    yield int(entry), fields


def of_user(uid: int) -> list[int]:
    """Living processes whose real or effective user it is."""
    return sorted(pid for pid, fields in _all() if str(uid) in fields["Uid"].split()[:2])


def usage_beside(pid: int) -> tuple[int, int, int] | None:
    """Microseconds, bytes and number of all living processes with the real user of one of them."""
    users = {number: fields["Uid"].split()[0] for number, fields in _all()}
    same = [number for number, user in users.items() if user == users.get(pid)]
    if not same:
        return None
    ticks = sum(_ticks(number) for number in same)
    memory = sum(int(fields.get("VmRSS", "0 kB").split()[0]) for number, fields in _all() if number in same)
    return ticks * 1_000_000 // os.sysconf("SC_CLK_TCK"), memory << 10, len(same)


def _ticks(pid: int) -> int:
    """Processor time of a process, and of the dead that it waited for, in clock ticks; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return sum(int(field) for field in file.read().rpartition(")")[2].split()[11:15])
    except OSError:
        return 0


def space_of(pid: int) -> str:
    """The UTS namespace of a process; empty if it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return ""


def in_space(space: str) -> list[int]:
    """Living processes in a namespace."""
    return [pid for pid, _ in _all() if space_of(pid) == space]


def kill_space(space: str) -> None:
    """SIGKILL to all of them, and to what they forked meanwhile."""
    for _ in range(_ROUNDS):
        there = in_space(space)
        if not there:
            return
        for pid in there:
            _kill_in(space, pid)


def _kill_in(space: str, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = _open_process(pid)
        try:
            if space_of(pid) == space:
                _signal_process(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def descendants(of: int) -> list[int]:
    """Living children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for pid, fields in _all():
        children.setdefault(int(fields["PPid"]), []).append(pid)
    found: list[int] = []
    waiting = [of]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def procctl(pid: int, command: int, argument: bytearray | None) -> None:
    """The commands that the back end uses; only on the calling process."""
    if pid not in {0, os.getpid()}:
        raise KernelError("procctl", errno.EINVAL)
    action = _COMMANDS.get(command)
    if action is None:
        raise KernelError("procctl", errno.EINVAL)
    action(argument if argument is not None else bytearray())


def _reap_acquire(_argument: bytearray) -> None:
    if is_reaper():
        raise KernelError("procctl", errno.EBUSY)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def is_reaper() -> bool:
    """Whether orphans among the descendants of this process become its children."""
    value = ctypes.c_int()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(value))
    return bool(value.value)


def _reap_kill(argument: bytearray) -> None:
    if len(argument) != abi.REAPER_SIZE:
        raise KernelError("procctl", errno.EINVAL)
    if not is_reaper():
        raise KernelError("procctl", errno.EPERM)
    number = int(struct.unpack_from("=i", argument)[0])
    killed = descendants(os.getpid())
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    if not killed:
        raise KernelError("procctl", errno.ESRCH)
    struct.pack_into("=I", argument, 12, len(killed))


def _reap_status(argument: bytearray) -> None:
    if len(argument) != abi.REAPER_SIZE:
        raise KernelError("procctl", errno.EINVAL)
    below = descendants(os.getpid())
    argument[:] = _REAP_STATUS.pack(
        int(is_reaper()), len(below), len(below), os.getpid(), below[0] if below else -1
    )


def _death_signal(argument: bytearray) -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, struct.unpack("=i", argument)[0])


def _no_new_privileges(argument: bytearray) -> None:
    if struct.unpack("=i", argument)[0] != abi.PROC_NO_NEW_PRIVS_ENABLE:
        raise KernelError("procctl", errno.EINVAL)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)


_COMMANDS = {
    abi.PROC_REAP_ACQUIRE: _reap_acquire,
    abi.PROC_REAP_STATUS: _reap_status,
    abi.PROC_REAP_KILL: _reap_kill,
    abi.PROC_PDEATHSIG_CTL: _death_signal,
    abi.PROC_NO_NEW_PRIVS_CTL: _no_new_privileges,
}
