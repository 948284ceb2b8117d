"""Undoing what a daemon left that was killed: at start, before the socket opens. Idempotent.

When a daemon dies, its spawner and all builders end too, but nobody waited for that. What can be
left: jails and cgroups, processes that are just dying, mounts (where they are global), lock files
(free by themselves), directories. They are removed in that order; a directory is deleted only when
nothing runs any more as the user that it was made for and nothing is mounted in it.

Other daemons build on the same machine, by the same numbers of users. So what is ended is what the
journal names (a cgroup, a jail, which nobody else has), and processes of a user that live in that
build's sandbox, while the user's lock is held: whoever else has the lock found no process of that
user when it took it, and runs builds of its own as that user now.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from fruix.errors import StoreError
from fruix.sandbox.back_ends import BackEnd, current
from fruix.sandbox.build_users import UserLocks
from fruix.sandbox.journal import Journal, JournalEntry
from fruix.sandbox.spec import NAME

PATIENCE = 10.0  # seconds for killed processes to be gone


def recover(
    journal: Journal, builds: str, users: UserLocks, delete: Callable[[int, bytes], None]
) -> list[str]:
    """Clean up after a crash of a daemon that worked with the same back end.

    Args:
        journal: what was noted.
        builds: the directory of build directories.
        users: the locks of this machine's build users.
        delete: deletes a tree, given an open directory and a name in it.

    Returns:
        What was removed, a line each, for the log.

    Raises:
        StoreError: a process of a crashed build can't be ended, or a mount not be undone; then
            nothing was deleted.
    """
    entries = journal.left_over()
    try:
        done = _end(current(), entries, builds, users)
    except OSError as error:
        raise StoreError(
            f"what a crashed daemon left can't be ended or unmounted: {error.strerror}",
            where=builds,
            hint="nothing was deleted; end or unmount it by hand, then start again",
        ) from error
    done += [f"build directory {name}" for name in _delete_directories(builds, delete)]
    for entry in entries:
        journal.forget(entry.name)
    return done


def _end(back_end: BackEnd, entries: Sequence[JournalEntry], builds: str, users: UserLocks) -> list[str]:
    """Kill what is left running, then unmount what is left mounted; a line for each."""
    done = back_end.end_leftovers(builds, {entry.name: entry.marks for entry in entries})
    for entry in entries:
        # Without root builds may have run as the daemon's own user: then nothing but their
        # namespace ends them, and it has.
        if entry.uid not in {0, os.getuid()} and (lock := users.take(entry.uid)) is not None:
            try:
                _end_processes(back_end, entry.uid, entry.name)
            finally:
                users.release(lock)
    return done + back_end.unmount_leftovers(builds)


def _end_processes(back_end: BackEnd, uid: int, name: str) -> None:
    """The caller holds the user's lock."""
    deadline = time.monotonic() + PATIENCE
    while pids := back_end.builders_of(uid, name):
        for pid in pids:
            back_end.kill_process(pid, uid)
        if time.monotonic() > deadline:
            raise StoreError(
                f"processes of the crashed build '{name}' don't end: {pids}",
                hint=f"they run as user {uid}; look at them by hand",
            )
        time.sleep(0.01)


def _delete_directories(builds: str, delete: Callable[[int, bytes], None]) -> list[str]:
    parent = os.open(builds, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        names = sorted(name for name in os.listdir(parent) if NAME.fullmatch(name))
        for name in names:
            delete(parent, os.fsencode(name))
        return names
    finally:
        os.close(parent)
