"""What the daemon and the spawner send each other.

Both ends and the sandboxes' first processes import this file.

The daemon sends a `SpawnRequest` with two descriptors: the control socket of this one sandbox, and the
log. If it is long, it lies in a file, the third of `DESCRIPTORS`, and the message is `SPAWN`. Over the
control socket the spawner sends one answer when the program runs or could not be started (`Running` or
`Failed`), and after `Running` another one when everything of the sandbox is gone (`Exit`) or can't be ended
(`Failed`). The daemon may send `KILL` there. A `ParkRequest` comes with a control socket too, over which it
can be repeated; after `KILL` one answer tells that nothing stands ready any more (`Exit`), or that something
may (`Failed`). All sockets keep the borders of messages (SOCK_SEQPACKET), and each end sees the other's
death as the end of the socket.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from fruix.dataclass import asdict, dataclass
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.networks import NONE
from fruix.sandbox.spec import Exec, SandboxSpec

SPAWN, KILL, PARK = b"spawn", b"kill", b"park:\0"
DESCRIPTORS = 3
SIZE = 1 << 16
"""No message is larger, in bytes."""
LONGEST_REQUEST = 8000
"""Bytes of a request that is sent as a message: FreeBSD takes 8192 (net.local.seqpacket.maxseqpacket)."""
_DETAIL = 1000  # characters of a detail; JSON makes at most 12 bytes of each


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """A sandbox to start, and the fault that the spawner arms for it (see `failpoints`; empty: none)."""

    spec: SandboxSpec
    fault: str = ""

    def to_bytes(self) -> bytes:
        """A line with what the spawner wants to know (`SealedRequest`), then the specification as JSON."""
        spec = self.spec
        plain = spec.network == NONE and isinstance(spec.program, Exec) and spec.personality == "native"
        head = json.dumps([self.fault, plain, spec.memory_max, spec.pids_max])
        return head.encode() + b"\n" + spec.to_json()

    @classmethod
    def parse(cls, data: bytes) -> SpawnRequest:
        """Read what `to_bytes` has written; the daemon alone writes here, so nothing else is expected."""
        head, _, spec = data.partition(b"\n")
        return cls(SandboxSpec.from_json(spec), json.loads(head)[0])


class SealedRequest:
    """A `SpawnRequest` that can be handed on as it came: reading all of it took as long as a fork.

    Attributes:
        data: all of it.
        fault: as of a `SpawnRequest`.
        plain: whether it is for a program of this machine's own kind, without a network.
        memory_max, pids_max: as of a `SandboxSpec`.
    """

    __slots__ = ("data", "fault", "memory_max", "pids_max", "plain")

    def __init__(self, data: bytes) -> None:
        """Read the first line."""
        self.data = data
        head = json.loads(data[: data.index(b"\n")])
        self.fault: str = head[0]
        self.plain: bool = head[1]
        self.memory_max: int = head[2]
        self.pids_max: int = head[3]

    def spec(self) -> SandboxSpec:
        """Read the specification."""
        return SpawnRequest.parse(self.data).spec


@dataclass(frozen=True, slots=True)
class ParkRequest:
    """Have a sandbox ready for a build to come, if none is.

    Attributes:
        name: what the system may know it by.
        root: as of a `SandboxSpec`.
        fault: as of a `SpawnRequest`.
    """

    name: str
    root: str
    fault: str = ""

    def to_bytes(self) -> bytes:
        """All three as JSON, behind a word that no `SpawnRequest` begins with."""
        return PARK + json.dumps([self.name, self.root, self.fault]).encode()

    @classmethod
    def parse(cls, data: bytes) -> ParkRequest:
        """Read what `to_bytes` has written."""
        return cls(*json.loads(data.removeprefix(PARK)))


@dataclass(frozen=True, slots=True)
class Running:
    """The program runs. `pid`: a process of the sandbox, on the host."""

    pid: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A step failed. `left`: something of the sandbox may still run or be mounted; otherwise nothing is."""

    step: str
    errno: int = 0
    detail: str = ""
    left: bool = False


Answer = Running | Exit | Failed
_KINDS: Mapping[str, type[Answer]] = {kind.__name__: kind for kind in (Running, Exit, Failed)}


def encode(answer: Answer) -> bytes:
    """As JSON: the name of its class, then its fields. A long detail is cut."""
    fields = asdict(answer)
    if "detail" in fields:
        fields["detail"] = fields["detail"][:_DETAIL]
    return json.dumps([type(answer).__name__, fields]).encode()


def decode(data: bytes) -> Answer:
    """Read what `encode` has written.

    Raises:
        ValueError: it is no whole message.
    """
    kind, fields = json.loads(data)
    return _KINDS[kind](**fields)
