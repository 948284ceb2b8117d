"""The tables that FreeBSD keeps in its kernel, here in a directory.

They outlive every process, as jails, mounts and rules do.

Every call takes the lock, reads, changes and writes the tables, and lets go, so the double may be
used by any number of processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Machine:
    """What kind of machine it is, for as long as its state exists."""

    release: str = "13.2-RELEASE"
    osreldate: int = 1302001
    vimage: bool = True
    racct: bool = False


@dataclass(slots=True)
class Mount:
    """A mount as the double made it.

    Attributes:
        number: Linux's for it; numbers come again, so `device` and `inode` of its root are compared too.
        target: its name as of when it was mounted, as in the kernel's table.
        lower: Linux's number of the mount from which a nullfs mount shows a directory; 0 for others.
    """

    number: int
    device: int
    inode: int
    fstype: str
    source: str
    target: str
    flags: int
    lower: int = 0


@dataclass(slots=True)
class Jail:
    """A jail, living or dying.

    `space`: the UTS namespace that its processes are in, as /proc names it; `removed`: it is dying.
    """

    jid: int
    name: str
    path: str
    space: str
    hostname: str
    parameters: dict[str, int] = field(default_factory=dict)
    persist: bool = False
    removed: bool = False


@dataclass(slots=True)
class Tables:
    """What the double keeps between calls.

    `rules`: ruleset → (number, action, pattern) in order of the numbers.
    """

    mounts: list[Mount] = field(default_factory=list)
    jails: list[Jail] = field(default_factory=list)
    rules: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)
    last_jid: int = 0


class State:
    """The directory with the tables; its lock serializes the calls of all processes."""

    def __init__(self, directory: str, machine: Machine | None = None) -> None:
        """Make it, for `machine`, or find it as it is."""
        self.directory = directory
        self._lock = f"{directory}/lock"
        os.makedirs(f"{directory}/spaces", mode=0o700, exist_ok=True)
        if not os.path.exists(f"{directory}/machine"):
            self._write("machine", asdict(machine or Machine()))
        self.machine = Machine(**self._read("machine"))

    @contextlib.contextmanager
    def tables(self) -> Iterator[Tables]:
        """The tables, locked; written back at the end, also if a call fails."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            tables = self._load()
            try:
                yield tables
            finally:
                self._write("tables", asdict(tables))
        finally:
            os.close(descriptor)

    def space(self, jid: int, kind: str) -> str:
        """Where a namespace of a persistent jail is kept."""
        return f"{self.directory}/spaces/{jid}-{kind}"

    def _load(self) -> Tables:
        data = self._read("tables") if os.path.exists(f"{self.directory}/tables") else {}
        return Tables(
            mounts=[Mount(**item) for item in data.get("mounts", ())],
            jails=[Jail(**item) for item in data.get("jails", ())],
            rules={name: [tuple(rule) for rule in rules] for name, rules in data.get("rules", {}).items()},
            limits=data.get("limits", []),
            last_jid=data.get("last_jid", 0),
        )

    def _read(self, name: str) -> dict[str, Any]:
        with open(f"{self.directory}/{name}", encoding="ascii") as file:
            return dict(json.load(file))

    def _write(self, name: str, value: dict[str, Any]) -> None:
        temporary = f"{self.directory}/.{name}-{os.getpid()}"
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(value, file)
        os.rename(temporary, f"{self.directory}/{name}")
