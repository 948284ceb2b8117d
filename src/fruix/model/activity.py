"""What a daemon is doing, as rows.

One per derivation that is being built or waits to be (`fruix ps`). Pure data.

Moments are milliseconds since the epoch, durations milliseconds; 0 is "not yet", None "not known".
Nothing of a build's environment is in here: everybody who may connect may see it.
"""

from __future__ import annotations

import enum
from typing import Any

from fruix.dataclass import asdict, dataclass
from fruix.model.storepath import StorePath


class State(enum.StrEnum):
    """How far a build is."""

    QUEUED = "queued"  # for a free slot
    PREPARING = "preparing"  # has a slot: locks, a build user, the sandbox
    RUNNING = "running"
    ENDING = "ending"  # the builder is dead: outputs are checked, hashed and registered


@dataclass(frozen=True, slots=True)
class Client:
    """Who asked: the user at the other end of a connection, and the process (0: not known)."""

    uid: int
    user: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class ActiveBuild:
    """One row.

    Attributes:
        kind: `build`, `download`, `builtin` (the daemon makes it itself), or `shell` (somebody looks
            around in a sandbox).
        usual_ms: the median duration of the latest builds of that name.
        pid: of the sandbox's first process, on the daemon's machine.
        cpu_us: processor time used so far, microseconds.
        memory: bytes in use, and `processes` how many there are, of the whole sandbox.
        clients: those that wait for it.
    """

    drv: StorePath
    kind: str
    state: State
    submitted_ms: int
    started_ms: int = 0
    phase: str = ""
    phase_started_ms: int = 0
    usual_ms: int | None = None
    pid: int = 0
    cpu_us: int | None = None
    memory: int | None = None
    processes: int | None = None
    log_file: str = ""
    clients: tuple[Client, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One flat object, as `fruix ps --json` prints it; paths and states are texts."""
        return {**asdict(self), "drv": str(self.drv), "state": str(self.state), "name": self.name}

    @property
    def name(self) -> str:
        """The derivation's name without `.drv`."""
        return self.drv.short_name
