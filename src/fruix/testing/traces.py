"""What a build should not have left: processes, mounts, cgroups or jails, directories, notes, locks, half-made outputs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

from fruix.sandbox.platform import current
from fruix.store.layout import Layout

_BUILD = "frx-"


def traces(layout: Layout) -> list[str]:
    """Everything of a build that is still there, a line each."""
    return [*_files(layout), *_users(layout), *_mounts(layout)]


def _files(layout: Layout) -> Iterator[str]:
    yield from (f"build directory {name}" for name in _names(layout.builds) if name.startswith(_BUILD))
    yield from (f"journal entry {name}" for name in _names(f"{layout.builds}/journal"))
    names = _names(layout.store)
    yield from (f"store directory holds {name}" for name in names if name.endswith((".lock", ".chroot")))
    staging = [name for name in names if name.startswith(".")]
    if len(staging) > 1:  # a running daemon has one
        yield f"store directory holds {' '.join(staging)}"


def _users(layout: Layout) -> Iterator[str]:
    for name in _names(layout.userpool):
        descriptor = os.open(f"{layout.userpool}/{name}", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield f"build user {name} is locked"
        finally:
            os.close(descriptor)
        if pids := current().processes_of(int(name)):
            yield f"processes of build user {name}: {pids}"


def _mounts(layout: Layout) -> Iterator[str]:
    yield from (f"mount {point}" for point in current().mounts_below(os.path.realpath(layout.builds)))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
