"""`python -m oddly_started daemon`: `fruix daemon` with one oddity left by its starter.

The variable ODDITY names it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import runpy
import signal
import struct
from collections.abc import Callable, Mapping

from fruix.sandbox.linux import libc

_CALLS = {
    "x86_64": {"ioprio_set": 251, "set_mempolicy": 238, "add_key": 248, "rt_sigaction": 13, "capset": 126},
    "aarch64": {"ioprio_set": 30, "set_mempolicy": 237, "add_key": 217, "rt_sigaction": 134, "capset": 91},
}
SESSION_KEYRING = -3
KEY = b"fruix-test-key"


def call(name: str, *arguments: int | bytes | None) -> None:
    """A system call that a kernel may be built without."""
    with contextlib.suppress(OSError):
        libc.syscall(_CALLS[platform.machine()][name], *arguments)


def ignored_signals() -> None:
    """As by nohup, and much more; those that the C library keeps for itself too."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    for kept in (32, 33):
        call("rt_sigaction", kept, struct.pack("QQQQ", 1, 0, 0, 0), None, 8)


def ignored_children() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def blocked_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def scheduling() -> None:
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    call("ioprio_set", 1, 0, 3 << 13)
    libc.prctl(29, 10_000_000)


def idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def limits() -> None:
    """Soft ones: to raise a hard one again takes a right that root lacks in containers."""
    wanted = {"NOFILE": 200, "STACK": 1 << 26, "MEMLOCK": 4096, "SIGPENDING": 100, "MSGQUEUE": 4096}
    wanted |= {"AS": 1 << 40, "DATA": 1 << 40, "CPU": 100_000, "RSS": 1 << 40}
    for name, soft in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def files() -> None:
    os.umask(0o077)
    with open("/proc/self/coredump_filter", "w", encoding="ascii") as file:
        file.write("0x7f")
    call("set_mempolicy", 3, struct.pack("Q", 1), 2)
    with contextlib.suppress(OSError):
        libc.prctl(41, 1)


def keys() -> None:
    call("add_key", b"user", KEY, b"secret", 6, SESSION_KEYRING)


def capabilities() -> None:
    """Inheritable ones, which a change of ids leaves: chown, besides all that root has."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0), 8)
    with open("/proc/self/status", encoding="ascii") as file:
        sets = dict(line.split(":\t") for line in file.read().splitlines() if line.startswith("Cap"))
    effective, permitted = int(sets["CapEff"], 16), int(sets["CapPrm"], 16)
    low, high = 0xFFFFFFFF, 32
    data = struct.pack("=6I", effective & low, permitted & low, 1, effective >> high, permitted >> high, 0)
    libc.syscall("capset", header, ctypes.create_string_buffer(data, len(data)))


ODDITIES: Mapping[str, Callable[[], None]] = {
    oddity.__name__: oddity
    for oddity in (
        ignored_signals,
        ignored_children,
        blocked_signals,
        scheduling,
        idle,
        limits,
        files,
        keys,
        capabilities,
    )
}

if __name__ == "__main__":
    ODDITIES.get(os.environ.get("ODDITY", ""), lambda: None)()
    runpy.run_module("fruix", run_name="__main__", alter_sys=True)
