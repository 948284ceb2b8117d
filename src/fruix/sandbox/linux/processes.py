"""Processes by user, from /proc, and killing one by descriptor so that no number is mistaken."""

from __future__ import annotations

import contextlib
import os
import signal


def processes_of(uid: int) -> list[int]:
    """Living processes of user `uid`; those that only wait to be reaped don't count.

    Where the kernel knows of no process of the user, dead or alive, that is one call; else one for
    each process of the machine.
    """
    try:
        os.getpriority(os.PRIO_USER, uid)
    except ProcessLookupError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                status = os.stat(f"/proc/{entry}")
            except OSError:
                continue
            if status.st_uid == uid and not _is_dead(entry):
                found.append(int(entry))
    return found


def kill_process(pid: int, uid: int) -> None:
    """Kill by descriptor, and only if it still is a process of that user.

    One that may not be killed is left alone.
    """
    with contextlib.suppress(ProcessLookupError, FileNotFoundError, PermissionError):
        descriptor = os.pidfd_open(pid)
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def is_elsewhere(pid: int) -> bool:
    """Whether a process lives in another process namespace; also one of which that can't be told."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except FileNotFoundError:
        return False
    except PermissionError:
        return True


def sees(pid: int, name: str) -> bool:
    """Whether a directory whose name holds `name` is among a process's mounts.

    True also for a process of which that can't be told.
    """
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
            return any(name in line for line in file)
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:  # permission denied; or it is just ending
        return True


def _is_dead(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # After the name in parentheses, which may hold anything, comes the state.
            return file.read().rpartition(b")")[2].split()[0] in {b"Z", b"X"}
    except (OSError, IndexError):
        return True
