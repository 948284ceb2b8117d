"""The one event stream: what the wire, the terminal, logs and machine-readable output are fed from.

Pure data.

`to_json` and `from_json` give each event a flat dictionary with its kind under `event`; unknown
kinds are refused, unknown fields ignored, so that newer writers can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fruix.dataclass import dataclass, field, fields
from fruix.errors import FormatError
from fruix.model.buildresult import BuildStatus
from fruix.model.reasons import Reason
from fruix.model.storepath import DEFAULT_STORE, StorePath


@dataclass(frozen=True, slots=True)
class BuildQueued:
    """Its inputs are ready; it waits for a free slot of its `kind` (`fruix.building.plan.goal.kind_of`).

    `time` in seconds since the epoch.
    """

    drv: StorePath
    kind: str
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class BuildStarted:
    """A builder runs. `time` in seconds since the epoch, `purpose` one of `build`, `check`, `repair`."""

    drv: StorePath
    name: str
    log_file: str = ""
    pid: int = 0
    time: float = 0.0
    purpose: str = "build"
    round: int = 1
    rounds: int = 1
    outputs: Mapping[str, str] = field(default_factory=dict)
    system: str = ""  # that it is built for
    machine: str = ""  # that it was sent to; empty: this one
    why: str = ""  # that machine, where there was a choice


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A builder said that it entered a phase."""

    drv: StorePath
    phase: str
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class BuilderExited:
    """The builder and everything of it is dead; its outputs are looked at now.

    `code` and `signal` as of its first process.
    """

    drv: StorePath
    code: int | None = None
    signal: int | None = None
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a builder's output, without its line end."""

    drv: StorePath
    line: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A transfer: `done` of `total` bytes (0: unknown) of `what` (a URL)."""

    drv: StorePath
    done: int
    total: int
    what: str


@dataclass(frozen=True, slots=True)
class BuildFinished:
    """All outputs are registered; or, `checked`, they were made again and are the same."""

    drv: StorePath
    seconds: float
    outputs: Mapping[str, str]
    checked: bool = False


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """It did not work out, or could not even be tried (`status` tells).

    Attributes:
        message: everything in one text, in the form that users of Nix know.
        reason: see `fruix.model.reasons`.
        hint: what to do next.
        details: lines that belong to the reason, such as where two results differ.
        phase: the last one that the builder named.
        command: the last one that the phase showed before it ran it.
        tests: how many of that phase passed (`pass`), failed (`fail`) and were skipped (`skip`), as
            far as the log says.
        failed_tests: their names, as far as the log says.
        lines: the last ones of the log.
    """

    drv: StorePath
    status: BuildStatus
    message: str
    seconds: float = 0.0
    reason: Reason = field(default_factory=dict)
    hint: str = ""
    details: tuple[str, ...] = ()
    phase: str = ""
    command: str = ""
    tests: Mapping[str, int] = field(default_factory=dict)
    failed_tests: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubstitutionStarted:
    """A path is fetched from a binary cache (`url`) instead of being built; sizes in bytes, 0: not known."""

    path: StorePath
    url: str
    size: int = 0
    nar_size: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class SubstitutionFinished:
    """The path is registered."""

    path: StorePath
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SubstitutionFailed:
    """No cache delivered the path. `reason` as of a failed build."""

    path: StorePath
    message: str
    seconds: float = 0.0
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a build that a person should know. `text` is what `reason` says."""

    drv: StorePath
    text: str
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A build waits for something (a lock, a build user)."""

    drv: StorePath
    reason: str


@dataclass(frozen=True, slots=True)
class Collecting:
    """How far a collection of garbage has come.

    Attributes:
        stage: `roots` (being looked for), `marked`, `deleting`, `links` (of deduplication).
        live: valid paths that are alive, of `total`; from `marked` on.
        deleted: how many paths are gone.
        freed: bytes, so far.
        paths: those that have gone since the last event.
    """

    stage: str
    live: int = 0
    total: int = 0
    deleted: int = 0
    freed: int = 0
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A text for the person at the other end.

    Levels as in the Nix protocol (0 error, 1 warning, 3 info).
    """

    level: int
    text: str


Event = (
    BuildQueued
    | BuildStarted
    | PhaseStarted
    | BuilderExited
    | LogLine
    | Progress
    | BuildFinished
    | BuildFailed
    | SubstitutionStarted
    | SubstitutionFinished
    | SubstitutionFailed
    | Note
    | Waiting
    | Collecting
    | Message
)
KINDS: Mapping[str, type[Event]] = {
    "build-queued": BuildQueued,
    "build-started": BuildStarted,
    "phase-started": PhaseStarted,
    "builder-exited": BuilderExited,
    "log-line": LogLine,
    "progress": Progress,
    "build-finished": BuildFinished,
    "build-failed": BuildFailed,
    "substitution-started": SubstitutionStarted,
    "substitution-finished": SubstitutionFinished,
    "substitution-failed": SubstitutionFailed,
    "note": Note,
    "waiting": Waiting,
    "collecting": Collecting,
    "message": Message,
}
# Fields that hold a store path.
_PATHS = frozenset({"drv", "path"})
_NAMES = {kind: name for name, kind in KINDS.items()}


def to_json(event: Event) -> dict[str, Any]:
    """A flat object with the kind under `event`; paths and statuses are texts."""
    result: dict[str, Any] = {"event": _NAMES[type(event)]}
    for part in fields(event):
        value = getattr(event, part.name)
        result[part.name] = str(value) if isinstance(value, StorePath) else value
    if isinstance(event, BuildFailed):
        result["status"] = event.status.name
    return result


def from_json(data: Mapping[str, Any], directory: str = DEFAULT_STORE) -> Event:
    """The inverse.

    Raises:
        FormatError: unknown kind or missing field.
    """
    kind = KINDS.get(str(data.get("event")))
    if kind is None:
        raise FormatError(f"unknown event {data.get('event')!r}")
    values = {part.name: data[part.name] for part in fields(kind) if part.name in data}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        for name in _PATHS & values.keys():
            values[name] = StorePath.parse(values[name], directory)
        if "status" in values:
            values["status"] = BuildStatus[values["status"]]
        return kind(**values)
    except (TypeError, KeyError) as error:
        raise FormatError(f"incomplete event {data.get('event')!r}: {error}") from error
