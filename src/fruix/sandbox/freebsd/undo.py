"""Undoing a sandbox. Idempotent.

Its supervisor ends it, the spawner when the supervisor has died; the daemon unmounts, behind its
answer. When the daemon has died, the supervisor does all of it; what nobody did, the next daemon does.

What is global is found by the paths of the build directory and of the kept root, which follow from
the specification, and by the sandbox's name, so nothing has to be remembered. The order: everything
dead, then everything unmounted; only then may anybody move or delete directories or look at
outputs. Deleting a tree with a mount in it would delete the store or the host's own files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Sequence

from fruix.sandbox.freebsd import jail, kept_roots, mounts, rctl, reaper, visibility
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.standing import lasting
from fruix.sandbox.spec import PREFIX, SandboxSpec

# How long the supervisors of a crashed daemon may take for their own undoing (seconds): as long as
# killing takes, and unmounting.
PATIENCE = 60.0
_PAUSE = 0.02
_LOCKED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def bring_back(spec: SandboxSpec) -> None:
    """Bring the build's own directories, in which nothing is mounted, back to where outputs are taken from.

    Raises:
        OSError: one can't be moved.
    """
    for area in kept_roots.skeleton_of(spec).areas:
        for root in _roots(spec):
            visibility.move_out(area, root)


def tidy(kernel: Kernel, spec: SandboxSpec, *, parked: bool = False) -> None:
    """Unmount what is mounted for a sandbox, and remove its limits.

    It takes most of the time, and changes no file: so the daemon does it behind its answer. `parked`:
    what can stay mounted for the next build stays (`standing`).

    Raises:
        OSError: something can't be unmounted.
    """
    roots = _roots(spec)
    stays = tuple(os.fsencode(f"{roots[-1]}{bind.target}/") for bind in lasting(spec)) if parked else ()
    # Of what is there now: as soon as that has gone the next jail gets its own.
    there = mounts.below(kernel.getfsstat(), *roots)
    mounts.unmount(kernel, [row for row in there if not (row.target + b"/").startswith(stays)])
    rctl.remove(kernel, spec.id)


def _roots(spec: SandboxSpec) -> tuple[str, str]:
    return os.path.realpath(spec.root), kept_roots.kept_root(spec)


def end_foreign(kernel: Kernel, spec: SandboxSpec) -> None:
    """End a sandbox whose supervisor has died; what is mounted stays.

    Raises:
        OSError: something can't be ended.
    """
    for found in jail.running(kernel):
        if found.path in _roots(spec) and found.name != spec.id:  # it was about to get this name
            reaper.wait_until_gone(kernel, found.name, time.monotonic() + reaper.PATIENCE)
    reaper.end_foreign(kernel, spec.id, spec.identity.uid)
    bring_back(spec)


def hold(base: str) -> int:
    """Lock a build directory for as long as the descriptor is open: something is still being done in it."""
    descriptor = os.open(base, _LOCKED)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def end_leftovers(kernel: Kernel, builds: str, noted: Sequence[str] = ()) -> list[str]:
    """Wait for supervisors that still clean up, then remove what jails are left of theirs.

    Limits of those jails, and of `noted` names, are removed too.

    Raises:
        OSError: ETIMEDOUT, a supervisor or a jail doesn't end.
    """
    builds = os.path.realpath(builds)
    names = [name for name in sorted(os.listdir(builds)) if name.startswith(PREFIX)]
    for place in (*(f"{builds}/{name}" for name in names), *kept_roots.places(builds)):
        os.close(wait_for_lock(place))
    ours = [found for found in jail.running(kernel) if _is_ours(found, builds)]
    for found in ours:
        reaper.wait_until_gone(kernel, found.name, time.monotonic() + reaper.PATIENCE)
    for name in {*names, *noted, *(found.name for found in ours)}:
        rctl.remove(kernel, name)
    return [f"jail {found.name}" for found in ours]


def unmount_leftovers(kernel: Kernel, builds: str) -> list[str]:
    """Unmount everything below the directory of build directories.

    Kept roots that builds were in when all was killed are then no longer kept.

    Raises:
        OSError: something is still mounted.
    """
    builds = os.path.realpath(builds)
    unmounted = mounts.unmount_below(kernel, builds)
    kept_roots.put_aside_spoiled(builds)
    return [f"mount {path}" for path in unmounted]


def _is_ours(found: jail.Jail, builds: str) -> bool:
    """Whether a jail is one of this daemon's, by name and place: other daemons' jails lie elsewhere."""
    return found.name.startswith(PREFIX) and found.path.startswith(f"{builds}/")


def enter(kernel: Kernel, kept: str) -> Sequence[FileSystem]:
    """Be the one that works in a kept root, if there is one, until this process ends.

    Returns the mounts of the system. A parked jail may just be leaving it, and one whose supervisor
    was killed has left mounts.
    """
    if not os.path.isdir(os.path.dirname(kept)):
        return kernel.getfsstat()
    wait_for_lock(os.path.dirname(kept))
    kept_roots.remove_note(kept)
    table = kernel.getfsstat()
    if not mounts.below(table, kept):
        return table
    mounts.unmount_below(kernel, kept)
    return kernel.getfsstat()


def standing_ready(builds: str) -> list[str]:
    """The kept roots in which a jail stands ready for the next build; their directories."""
    return [place for place in kept_roots.places(builds) if kept_roots.is_noted(place) and _is_held(place)]


def _is_held(place: str) -> bool:
    descriptor = os.open(place, _LOCKED)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_for_lock(place: str) -> int:
    """Lock a directory in which others may still do something; held until the descriptor is closed.

    Raises:
        OSError: ETIMEDOUT, they don't end.
    """
    descriptor = os.open(place, _LOCKED)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                raise OSError(
                    errno.ETIMEDOUT,
                    f"{os.strerror(errno.ETIMEDOUT)}: the supervisor of {place} doesn't end",
                ) from None
            time.sleep(_PAUSE)
        else:
            return descriptor
