"""What stays mounted in a kept root for the next build: what the last one was shown of the host.

Those mounts are read-only, nobody in a jail can change anything about them, and the next build of the
same user would get the same ones. Whether they still are the same is looked at when it comes: the
directory that is mounted can't be another one under the same number, since the mount keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from fruix.dataclass import dataclass
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.mounts import below
from fruix.sandbox.spec import Bind, Exec, SandboxSpec


@dataclass(frozen=True, slots=True)
class Standing:
    """What is mounted, as of when it was.

    Attributes:
        shown: source, target, device and inode of each directory.
        below: the ids of what was mounted in those sources, which is mounted too.
    """

    shown: tuple[tuple[str, str, int, int], ...]
    below: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, spec: SandboxSpec, table: Sequence[FileSystem]) -> Self:
        """What a specification wants, as it is now; `table`: the mounts of the system."""
        binds = lasting(spec)
        rows = below(table, *(bind.source for bind in binds)) if binds else []
        return cls(tuple(map(_identified, binds)), tuple(row.fsid for row in rows))

    def has(self, row: FileSystem, root: str) -> bool:
        """Whether a row of the mount table, below `root`, is of what stands there."""
        tops = [os.fsencode(root + target) for _, target, *_ in self.shown]
        return any(row.target == top or row.target.startswith(top + b"/") for top in tops)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """From what `asdict` and JSON made of it."""
        return cls(tuple(map(tuple, fields["shown"])), tuple(map(tuple, fields["below"])))


def _identified(bind: Bind) -> tuple[str, str, int, int]:
    status = os.lstat(bind.source)
    return bind.source, bind.target, status.st_dev, status.st_ino


def can_stand(spec: SandboxSpec) -> bool:
    """Whether a jail for the like of it can be made before it comes.

    A function of Fruix's is imported before the jail is entered, and a terminal is a sandbox's own.
    """
    return isinstance(spec.program, Exec) and not spec.terminal


def lasting(spec: SandboxSpec) -> tuple[Bind, ...]:
    """What is shown read-only, and not in a directory of the build's own."""
    own = tuple(f"{bind.target}/" for bind in spec.binds if bind.writable)
    return tuple(bind for bind in spec.binds if not bind.writable and not bind.target.startswith(own))
