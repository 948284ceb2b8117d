"""Looking at builds without touching them.

Those that run or wait, and those that a request would need.

Costs: `active_build` reads what the sandbox uses from the system (a few files); `planned` is the
walk of `goals.plan`.
"""

from __future__ import annotations

import pwd
from collections.abc import Collection

from fruix.building.durations import History
from fruix.building.plan.goal import Goal, Plan
from fruix.building.queue.job import Job
from fruix.dataclass import replace
from fruix.errors import BadStorePathError
from fruix.model.activity import ActiveBuild, Client, State
from fruix.model.build_options import Requester
from fruix.model.buildresult import BuildMode
from fruix.model.events import BuilderExited, BuildStarted, PhaseStarted
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.model.reasons import reason, text_of
from fruix.model.storepath import StorePath, in_order
from fruix.sandbox.back_ends import current
from fruix.store import LocalStore


def active_build(job: Job, history: History) -> ActiveBuild:
    """A job as a row."""
    seen, requesters = job.seen()
    started = next((event for event in seen if isinstance(event, BuildStarted)), None)
    phase = next((event for event in seen if isinstance(event, PhaseStarted)), None)
    exited = any(isinstance(event, BuilderExited) for event in seen)
    row = ActiveBuild(
        drv=job.path,
        kind=job.kind,
        state=_state(job, started=started is not None, exited=exited),
        submitted_ms=_ms(job.submitted),
        started_ms=_ms(job.started),
        phase=phase.phase if phase else "",
        phase_started_ms=_ms(phase.time) if phase else 0,
        usual_ms=history.usual_ms(job.kind, job.derivation.name),
        pid=started.pid if started else 0,
        log_file=started.log_file if started else "",
        clients=tuple(
            client_of(requester)
            for requester in sorted(requesters, key=lambda requester: (requester.uid, requester.pid))
        ),
    )
    return with_usage(row) if started and not exited else row


def with_usage(row: ActiveBuild) -> ActiveBuild:
    """The same with what its sandbox uses, if the system says."""
    usage = current().usage(row.pid)
    if usage is None:
        return row
    return replace(row, cpu_us=usage.cpu_us, memory=usage.memory, processes=usage.processes)


def client_of(requester: Requester) -> Client:
    """For people: with the user's name, if there is one."""
    try:
        name = pwd.getpwuid(requester.uid).pw_name
    except KeyError:
        name = str(requester.uid)
    return Client(requester.uid, name, requester.pid)


def _state(job: Job, *, started: bool, exited: bool) -> State:
    if exited:
        return State.ENDING
    if started:
        return State.RUNNING
    return State.PREPARING if job.started else State.QUEUED


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def planned(store: LocalStore, found: Plan, history: History, jobs: int) -> BuildPlan:
    """What carrying out a plan would do, in an order in which dependencies come first."""
    problems = [result.message for result in found.settled.values() if not result.success]
    outputs = [path for goal in found.goals.values() for path in goal.outputs.values() if path is not None]
    absent = frozenset(store.absent(outputs))
    rows = tuple(_row(store, goal, absent, history) for goal in found.goals.values())
    problems += [
        text_of(reason("missing-outputs"), row.drv)
        for row in rows
        if row.missing and found.goals[row.drv].mode is BuildMode.CHECK
    ]
    return BuildPlan(rows, jobs, tuple(problems))


def _row(store: LocalStore, goal: Goal, absent: Collection[StorePath], history: History) -> PlannedBuild:
    kind = goal.kind
    missing = [name for name, path in goal.outputs.items() if path is None or path in absent]
    needs = in_order(goal.dependencies)
    name = goal.path.name if goal.offer is not None else goal.path.short_name
    return PlannedBuild(
        goal.path,
        kind,
        tuple(sorted(missing)),
        needs,
        history.usual_ms(kind, name),
        _last(store, history.last(kind, name)),
    )


def _last(store: LocalStore, text: str) -> StorePath | None:
    """A derivation of the history, if it is one of this store's that is still there."""
    if not text:
        return None
    try:
        path = StorePath.parse(text, store.directory)
    except BadStorePathError:
        return None
    return path if store.is_valid(path) else None
