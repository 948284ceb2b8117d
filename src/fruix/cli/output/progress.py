"""The state of a request, folded from its events: data that renderers show, no input or output.

`Status.apply(event, now)` is the fold; `now` is given, so that tests need no clock. Each derivation
of the request is a `Node`; one that the plan didn't name gets its node when it is first heard of.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterable

from fruix.dataclass import dataclass, field, replace
from fruix.model.buildresult import BuildStatus
from fruix.model.estimate import Estimate
from fruix.model.events import (
    BuilderExited,
    BuildFailed,
    BuildFinished,
    BuildQueued,
    BuildStarted,
    Event,
    LogLine,
    PhaseStarted,
    Progress,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
)
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath

KEPT_LINES = 25


class Stage(enum.Enum):
    """How far a derivation is."""

    WAITING = "waiting"  # for what it needs
    QUEUED = "queued"  # for the daemon
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"  # something that it needs has failed


ACTIVE = frozenset({Stage.QUEUED, Stage.RUNNING})
UNFINISHED = ACTIVE | {Stage.WAITING}


# Kinds of reasons for which a request begins anew, with the host's tools as they are by then: a
# build was refused before it began, or its result counts for nothing.
REFUSED, OVERTAKEN = "view-differs", "view-changed"
OVERTAKEN_KINDS = frozenset({REFUSED, OVERTAKEN})


@dataclass(slots=True)
class Node:
    """One derivation.

    Moments are in seconds since the epoch, 0 for "not yet"; `usual` is in seconds, None if not
    known.
    """

    drv: StorePath
    kind: str = "build"
    needs: tuple[StorePath, ...] = ()
    usual: float | None = None
    stage: Stage = Stage.WAITING
    queued: float = 0.0
    started: float = 0.0
    exited: float = 0.0
    ended: float = 0.0
    phases: list[tuple[str, float]] = field(default_factory=list)
    done: int = 0
    total: int = 0
    log_file: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    @property
    def name(self) -> str:
        """The derivation's name for people."""
        return self.drv.short_name

    @property
    def phase(self) -> str:
        """The phase that it is in; empty before the first."""
        return self.phases[-1][0] if self.phases else ""

    def remaining(self, now: float) -> float:
        """Seconds that it will still take as far as is known; never negative."""
        elapsed = now - self.started if self.stage is Stage.RUNNING else 0.0
        return max(0.0, (self.usual or 0.0) - elapsed)


@dataclass(frozen=True, slots=True)
class Failure:
    """One build that failed, with what a person needs to know.

    Attributes:
        event: what the daemon told of it.
        log_file: where its log is; empty if it was not tried.
        kind: `build` or `download`.
        blocked: what could not be built for that reason.
    """

    event: BuildFailed
    log_file: str = ""
    kind: str = "build"
    blocked: tuple[StorePath, ...] = ()

    @property
    def path(self) -> StorePath:
        """The derivation that failed."""
        return self.event.drv

    @property
    def name(self) -> str:
        """The derivation's name for people."""
        return self.event.drv.short_name

    @property
    def status(self) -> BuildStatus:
        """How the build ended."""
        return self.event.status

    @property
    def ran(self) -> bool:
        """Whether it was tried, now or at the time that is remembered: then it has a log."""
        return bool(self.log_file) or self.status is BuildStatus.CACHED_FAILURE


# The longest chain of builds after one: seconds by usual durations, steps, and the first of them.
_Chain = tuple[float, int, StorePath | None]
_NOTHING: _Chain = (0.0, 0, None)


@dataclass(slots=True)
class Status:
    """The whole of a request: what runs, what is done, what failed."""

    nodes: dict[StorePath, Node] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    _after: dict[StorePath, _Chain] | None = None
    _users: dict[StorePath, list[StorePath]] | None = None

    @classmethod
    def of(cls, plan: BuildPlan) -> Status:
        """The status at the beginning of a request."""
        rows = plan.builds
        return cls(
            {
                row.drv: Node(
                    row.drv, row.kind, row.needs, row.usual_ms / 1000 if row.usual_ms is not None else None
                )
                for row in rows
            }
        )

    def apply(self, event: Event, now: float) -> None:
        """Take one event in; `now` in seconds, for events that don't tell their time."""
        match event:
            case BuildQueued():
                node = self._node(event.drv)
                node.stage, node.kind, node.queued = Stage.QUEUED, event.kind, event.time or now
                self._settle(node.needs, now)
            case BuildStarted():
                node = self._node(event.drv)
                node.stage, node.log_file, node.exited = Stage.RUNNING, event.log_file, 0.0
                if event.round == 1:
                    node.started = event.time or now
                self._settle(node.needs, now)
            case PhaseStarted():
                self._node(event.drv).phases.append((event.phase, event.time or now))
            case BuilderExited():
                self._node(event.drv).exited = event.time or now
            case LogLine():
                self._node(event.drv).lines.append(event.line)
            case Progress():
                node = self._node(event.drv)
                node.done, node.total = event.done, event.total
            case BuildFinished():
                node = self._node(event.drv)
                node.stage, node.ended = Stage.DONE, now
                node.started = node.started or now - event.seconds
            case BuildFailed():
                self._failed(event, now)
            case _:
                self._fetch(event, now)

    def _fetch(self, event: Event, now: float) -> None:
        match event:
            case SubstitutionStarted():
                node = self._node(event.path)
                node.stage, node.started, node.total = Stage.RUNNING, event.time or now, event.size
            case SubstitutionFinished() | SubstitutionFailed():
                node = self._node(event.path)
                done = isinstance(event, SubstitutionFinished)
                node.stage, node.ended = Stage.DONE if done else Stage.FAILED, now
            case _:
                pass

    def _node(self, drv: StorePath) -> Node:
        return self.nodes.setdefault(drv, Node(drv))

    def _settle(self, needs: Iterable[StorePath], now: float) -> None:
        """What a build needed is there when it begins, whoever made it."""
        for path in needs:
            node = self.nodes.get(path)
            if node is not None and node.stage in UNFINISHED:
                node.stage, node.ended = Stage.DONE, now

    def _failed(self, event: BuildFailed, now: float) -> None:
        node = self._node(event.drv)
        if event.status is BuildStatus.DEPENDENCY_FAILED:
            node.stage = Stage.BLOCKED
            return
        node.stage, node.ended = Stage.FAILED, now
        blocked = self._dependents(event.drv)
        for path in blocked:
            self.nodes[path].stage = Stage.BLOCKED
        self._after = None
        told = replace(event, lines=event.lines or tuple(node.lines), phase=event.phase or node.phase)
        self.failures.append(Failure(told, node.log_file, node.kind, blocked))

    def users(self, drv: StorePath) -> list[StorePath]:
        """What needs it directly. Which that is was said by the plan."""
        if self._users is None:
            self._users = {}
            for node in self.nodes.values():
                for path in node.needs:
                    self._users.setdefault(path, []).append(node.drv)
        return self._users.get(drv, [])

    def _dependents(self, drv: StorePath) -> tuple[StorePath, ...]:
        """All that need it, directly or not, in the plan's order: what is needed comes first."""
        found, waiting = {drv}, [drv]
        while waiting:
            new = [path for path in self.users(waiting.pop()) if path not in found]
            found.update(new)
            waiting.extend(new)
        return tuple(path for path in self.nodes if path in found and path != drv)

    def counts(self) -> Counter[Stage]:
        """The number of derivations in each stage."""
        return Counter(node.stage for node in self.nodes.values())

    def remaining(self, now: float) -> Estimate:
        """The longest path of what is left, by usual durations: it begins with something active.

        Cost: a look at each node; the chains behind them are computed once, and again after a
        failure.
        """
        left = [node for node in self.nodes.values() if node.stage in UNFINISHED]
        first = [node for node in left if node.stage in ACTIVE] or left
        if self._after is None:
            self._after = self._chains()
        after = self._after
        weights = {node.drv: node.remaining(now) + after.get(node.drv, _NOTHING)[0] for node in first}
        if not weights:
            return Estimate(0.0)
        start = max(weights, key=lambda drv: (weights[drv], after.get(drv, _NOTHING)[1]))
        path: list[StorePath] = []
        step: StorePath | None = start
        while step is not None:
            path.append(step)
            step = after.get(step, _NOTHING)[2]
        return Estimate(weights[start], tuple(path), sum(node.usual is None for node in left))

    def _chains(self) -> dict[StorePath, _Chain]:
        """The longest chain behind each node.

        Nodes are in the plan's order, so those that need one come behind it.
        """
        after: dict[StorePath, _Chain] = {}
        for node in reversed(self.nodes.values()):
            if node.stage in UNFINISHED:
                seconds, steps, _ = after.get(node.drv, _NOTHING)
                chain = (seconds + (node.usual or 0.0), steps + 1, node.drv)
                for path in node.needs:
                    after[path] = max(after.get(path, _NOTHING), chain, key=lambda one: one[:2])
        return after
