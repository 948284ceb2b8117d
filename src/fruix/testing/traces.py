"""What a build should not have left.

Processes, mounts, cgroups or jails, directories, notes, locks, half-made outputs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from fruix.building.parking import of_running_daemons
from fruix.building.recovery import user_locks
from fruix.sandbox.back_ends import current
from fruix.store.layout import Layout
from fruix.store.leftovers import LINKS
from fruix.store.owner import identity_of

_BUILD = "frx-"
# Seconds: as long as a build of hundreds of inputs takes to be tidied up where each is a mount; and
# between looks.
_PATIENCE, _LOOK = 60.0, 0.01


def traces(layout: Layout) -> list[str]:
    """Everything of a build that is still there, a line each."""
    return [*_files(layout), *_users(layout), *_mounts(layout)]


def lasting(layout: Layout) -> list[str]:
    """What is still there when those have had time who tidy up after an answer."""
    deadline = time.monotonic() + _PATIENCE
    while (found := traces(layout)) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return found


def _files(layout: Layout) -> Iterator[str]:
    yield from (f"build directory {name}" for name in _names(layout.builds) if name.startswith(_BUILD))
    ready = {f"{name}.json" for name in of_running_daemons(layout.builds)}
    yield from (f"journal entry {name}" for name in _names(f"{layout.builds}/journal") if name not in ready)
    yield from (f"lock of {name}" for name in _names(layout.locks))
    staging = [name for place in layout.staging for name in _names(place)]
    lasting = {os.path.basename(layout.staging[-1]), LINKS}
    yield from (
        f"store directory holds {name}"
        for name in _names(layout.store)
        if name.startswith(".") and name not in lasting
    )
    if len(staging) > 1:  # a running daemon has one
        yield f"staging directories {' '.join(staging)}"


def _users(layout: Layout) -> Iterator[str]:
    """Users of other daemons' builds don't count: they are locked, and their locks say so.

    Nobody else's lock is touched without need.
    """
    locks, own = user_locks(layout), f"-{identity_of(layout.store)[:8]}-"
    mine = f"{layout.state},"
    for uid in sorted(int(name) for name in _names(locks.directory) if name.isdecimal()):
        if mine in locks.noted(uid) and mine in (holder := locks.holder(uid) or ""):
            yield f"build user {uid} is locked by {holder}"
        elif (pids := current().builders_of(uid, own)) and locks.holder(uid) is None:
            yield f"processes of build user {uid}: {pids}"


def _mounts(layout: Layout) -> Iterator[str]:
    yield from (f"mount {point}" for point in current().mounts_below(os.path.realpath(layout.builds)))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
