"""What a sandbox shows and runs, as plain data: the whole of what the daemon tells the spawner about a build.

The same specification serves every platform. Paths of targets are absolute, as seen from inside;
sources are absolute paths on the host. JSON-able, since it crosses a process border:
`to_json`/`from_json`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Self

from fruix.dataclass import dataclass, field, replace
from fruix.late import late_pattern
from fruix.sandbox import networks

PREFIX = "frx-"
NAME = late_pattern(r"frx-[0-9a-z]+(-[0-9a-z]+)*")
"""Names of sandboxes, and so of build directories, cgroups and jails.

Nothing else is ever taken for a left-over of a build.
"""


@dataclass(frozen=True, slots=True)
class Bind:
    """A host file or directory shown at `target`, read-only unless `writable`.

    Only the build's own areas are writable, and those are directories.

    A source that is a symlink is re-created as such, never followed.
    """

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A symlink at `path`, with the text `target` as it is: nothing checks where that leads."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class File:
    """A generated file at `path`, which the builder can read and nobody in the sandbox can write."""

    path: str
    data: bytes
    mode: int = 0o444


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """A writable file system in memory of at most `size` bytes.

    Size 0 is the kernel's default, half of the memory.
    """

    path: str
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the builder is: ids on the host, and what they look like from inside.

    They differ only with a user namespace of the builder's own. `groups`: supplementary groups, by
    their ids on the host. `shared`: on the host the ids are the daemon's own, and its supplementary
    groups can't be given up (a daemon without root).
    """

    uid: int
    gid: int
    inside_uid: int
    inside_gid: int
    user_namespace: bool = False
    groups: tuple[int, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Exec:
    """Run a program: its path as seen inside, argument vector, whole environment, working directory."""

    path: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Run a function of Fruix, `module:function`, with JSON-able arguments.

    Its integer result is the exit status.
    """

    function: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a sandbox shows, who runs in it, and what its program may use.

    Attributes:
        id: its name; also that of its cgroup or jail (`frx-…`).
        root: an empty directory on the host, only root's, on which the sandbox mounts its root.
        network: `none` (a loopback of its own), `host` (shared; abstract sockets and signals are
            cut off), or the helper that connects a network namespace of its own (see `networks`).
        limits: resource limits by name (`RLIMIT_…` without the prefix, lower case) → (soft, hard);
            -1 is unlimited.
        personality: `native` or `linux32`.
        hidden: directories in what is bound that are shown empty; only where the back end can (`can_hide`).
        devices: names below /dev that are shown besides the usual ones.
        memory_max, pids_max: bytes and processes for the whole sandbox where the system can enforce
            it; 0: no limit.
        terminal: the log is the inner end of a terminal pair, made for this sandbox: it becomes the
            controlling terminal and the standard input too. Never a terminal that somebody sits at.
        sealed_root: the root is read-only; else only root can write there (whose identity then may not
            be `shared`).
        loopback_ports: TCP ports of the host's loopback interface that are reached at its own, where
            the network is one of `networks.OPENS_PORTS`.
    """

    id: str
    root: str
    identity: Identity
    program: Exec | Entry
    binds: tuple[Bind, ...] = ()
    hidden: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    files: tuple[File, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    hostname: str = "localhost"
    domainname: str = "(none)"
    network: str = "none"
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    personality: str = "native"
    devices: tuple[str, ...] = ()
    memory_max: int = 0
    pids_max: int = 0
    terminal: bool = False
    sealed_root: bool = True
    loopback_ports: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a network of its own without a user namespace of its own.

        Nothing could be connected to such a network.
        """
        if self.network in networks.OWN and not self.identity.user_namespace:
            raise ValueError(f"network '{self.network}' needs a user namespace")

    def to_json(self) -> bytes:
        """As JSON in ASCII, in which the spawner gets it."""
        data = {name: getattr(self, name) for name in self.__slots__}
        data["binds"] = [(bind.source, bind.target, bind.writable) for bind in self.binds]  # can be thousands
        data["program"] = [type(self.program).__name__, *_row(self.program)]
        return json.dumps(data, ensure_ascii=True, default=_row).encode("ascii")

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` has written; of bytes from elsewhere nothing is checked."""
        data = json.loads(text)
        return cls(**{name: _READERS.get(name, _same)(value) for name, value in data.items()})


def _row(value: Any) -> Any:
    """A dataclass as the list of its fields, in their order.

    Bytes as base64.
    """
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return [getattr(value, name) for name in value.__slots__]


def _same(value: Any) -> Any:
    return value


def _identity(row: list[Any]) -> Identity:
    identity = Identity(*row)
    return replace(identity, groups=tuple(identity.groups))


def _program(row: list[Any]) -> Exec | Entry:
    kind, *fields = row
    if kind == "Entry":
        return Entry(*fields)
    path, argv, environment, directory = fields
    return Exec(path, tuple(argv), environment, directory)


_READERS: Mapping[str, Any] = {
    "identity": _identity,
    "devices": tuple,
    "loopback_ports": tuple,
    "hidden": tuple,
    "program": _program,
    "binds": lambda rows: tuple([Bind(*row) for row in rows]),
    "links": lambda rows: tuple([Link(*row) for row in rows]),
    "files": lambda rows: tuple([File(path, base64.b64decode(data), mode) for path, data, mode in rows]),
    "tmpfs": lambda rows: tuple([Tmpfs(*row) for row in rows]),
    "limits": lambda values: {name: tuple(pair) for name, pair in values.items()},
}
