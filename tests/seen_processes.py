"""What Linux's /proc tells of a process that may be ending meanwhile.

Its files can still be opened then, or have been, and reading fails: with ENOENT or ESRCH, depending on when.
One that is gone has no state, children or descriptors.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def state_of(pid: int | str) -> str:
    """Its state by one letter, as in proc(5): "S" sleeps, "Z" has ended; empty if it is gone."""
    return next(iter(_status(pid)), "")


def parent_of(pid: int | str) -> int:
    """The number of its parent.

    Raises:
        ProcessLookupError: it is gone. (0 for a parent would be this process group to `kill`.)
    """
    if not (fields := _status(pid)):
        raise ProcessLookupError(f"there is no process {pid}")
    return int(fields[1])


def children_of(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descriptors_of(pid: int) -> list[str]:
    """The numbers of its descriptors, by their names."""
    with suppress(OSError):
        return os.listdir(f"/proc/{pid}/fd")
    return []


def lives(pid: int) -> bool:
    """Whether it has not ended; one that waits to be reaped has."""
    return state_of(pid) not in {"", "Z", "X"}


def _status(pid: int | str) -> list[str]:
    """The fields of `stat` from the state on: the name before them, in parentheses, may hold anything."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []
