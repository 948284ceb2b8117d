"""Undoing what a daemon left that was killed: at start, before the socket opens. Idempotent.

When a daemon dies, its spawner and all builders are killed by the kernel (parent-death signals), and namespaces and mounts vanish with their
last process. What can be left: processes that are just dying, cgroups, lock files (free by themselves), directories. They
are removed in that order; a directory is deleted only when nothing runs any more as the user that it was made for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from fruix.errors import StoreError
from fruix.sandbox.journal import Journal
from fruix.sandbox.linux.cgroup import remove_leftovers
from fruix.sandbox.pool import processes_of

PREFIX = "frx-"
PATIENCE = 10.0  # seconds for killed processes to be gone


def recover(journal: Journal, builds: str, delete: Callable[[int, bytes], None]) -> list[str]:
    """Clean up after a crash.

    Args:
        journal: what was noted.
        builds: the directory of build directories.
        delete: deletes a tree, given an open directory and a name in it.

    Returns:
        What was removed, a line each, for the log.

    Raises:
        StoreError: a process of a crashed build can't be ended.
    """
    done = []
    entries = journal.left_over()
    for entry in entries:
        if uid := entry.fields.get("uid"):
            _end_processes(int(uid), entry.name)
    done += [f"cgroup {name}" for name in remove_leftovers(PREFIX)]
    done += [f"build directory {name}" for name in _delete_directories(builds, delete)]
    for entry in entries:
        journal.forget(entry.name)
    return done


def _end_processes(uid: int, name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while pids := processes_of(uid):
        for pid in pids:
            _kill(pid, uid)
        if time.monotonic() > deadline:
            raise StoreError(
                f"processes of the crashed build '{name}' don't end: {pids}",
                hint=f"they run as user {uid}; look at them by hand",
            )
        time.sleep(0.01)


def _kill(pid: int, uid: int) -> None:
    """Kill by descriptor, and only if it still is a process of that user."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        descriptor = os.pidfd_open(pid)
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def _delete_directories(builds: str, delete: Callable[[int, bytes], None]) -> list[str]:
    parent = os.open(builds, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        names = sorted(name for name in os.listdir(parent) if name.startswith(PREFIX))
        for name in names:
            delete(parent, os.fsencode(name))
        return names
    finally:
        os.close(parent)
