"""Undoing a sandbox: by its supervisor, by the spawner when the supervisor has died, by the next daemon when both have. Idempotent.

What is global is found by the build directory's path and the sandbox's name, so nothing has to be remembered. The order: everything
dead, then everything unmounted; only then may anybody delete directories or look at outputs. Deleting a tree with a mount in it would
delete the store or the host's own files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from fruix.sandbox.freebsd import jail, limits, mounts, reaper
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.spec import PREFIX

# How long the supervisors of a crashed daemon may take for their own undoing (seconds): as long as killing takes, and unmounting.
PATIENCE = 60.0
_PAUSE = 0.02


def undo(kernel: Kernel, name: str, base: str) -> None:
    """When everything of the sandbox `name` in the build directory `base` is dead.

    Raises:
        OSError: something can't be unmounted.
    """
    mounts.unmount_below(kernel, base)
    limits.remove(kernel, name)


def undo_foreign(kernel: Kernel, name: str, uid: int, base: str) -> None:
    """The whole of it, for a sandbox whose supervisor has died.

    Raises:
        OSError: something can't be ended or unmounted.
    """
    reaper.end_foreign(kernel, name, uid)
    undo(kernel, name, base)


def hold(base: str) -> int:
    """Lock a build directory for as long as the descriptor is open: something is still being done in it."""
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def end_leftovers(kernel: Kernel, builds: str) -> list[str]:
    """Wait for supervisors that still clean up, then remove what jails are left of theirs.

    Raises:
        OSError: ETIMEDOUT, a supervisor or a jail doesn't end.
    """
    builds = os.path.realpath(builds)
    names = [name for name in sorted(os.listdir(builds)) if name.startswith(PREFIX)]
    for name in names:
        _wait_for_supervisor(f"{builds}/{name}")
    ours = [found for found in jail.running(kernel) if _is_ours(found, builds)]
    for found in ours:
        reaper.wait_until_gone(kernel, found.name, time.monotonic() + reaper.PATIENCE)
    for name in {*names, *(found.name for found in ours)}:
        limits.remove(kernel, name)
    return [f"jail {found.name}" for found in ours]


def unmount_leftovers(kernel: Kernel, builds: str) -> list[str]:
    """Unmount everything below the directory of build directories.

    Raises:
        OSError: something is still mounted.
    """
    return [f"mount {path}" for path in mounts.unmount_below(kernel, os.path.realpath(builds))]


def _is_ours(found: jail.Jail, builds: str) -> bool:
    """By name and place: another daemon's jails lie elsewhere."""
    return found.name.startswith(PREFIX) and found.path.startswith(f"{builds}/")


def _wait_for_supervisor(base: str) -> None:
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    until = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise OSError(
                        errno.ETIMEDOUT,
                        f"{os.strerror(errno.ETIMEDOUT)}: the supervisor of {base} doesn't end",
                    ) from None
                time.sleep(_PAUSE)
            else:
                return
    finally:
        os.close(descriptor)
