"""How a build is told to have ended: its result, its record, the last events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from fruix import failpoints
from fruix.building import failures
from fruix.building.durations import phase_seconds
from fruix.building.outputs.modes import Compared, ModeRules
from fruix.building.queue.job import Listener
from fruix.building.record.log import BuildLog
from fruix.building.record.record import known_after
from fruix.building.record.record_file import part_of, write_record
from fruix.building.resources import Resources
from fruix.building.run.state import RunState
from fruix.errors import FruixError, of_system
from fruix.log import Log
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.events import BuildFailed, BuildFinished
from fruix.model.reasons import Reason
from fruix.store.outputs.staged import Staged

_log = Log(__name__)

# How many differences between two results the message repeats; all that were looked at are in log
# and record.
_DIFFERENCES_TOLD = 10
# Kinds of reasons for which a builder itself is to blame.
OWN_ENDS = frozenset({"exit-code", "signal"})
# Failures that are taken for lasting ones, as guix-daemon does.
_REMEMBERED = frozenset(
    {BuildStatus.PERMANENT_FAILURE, BuildStatus.OUTPUT_REJECTED, BuildStatus.NOT_DETERMINISTIC}
)
_GOES_ON = "the build goes on for others, whose limits are wider: ask again later, or with another limit"


def conclude(state: RunState, mode: ModeRules, staged: Mapping[str, Staged]) -> None:
    """Do with a build's outputs, by their names, what it was for.

    Raises:
        FailedError: they are not what they should be.
    """
    state.succeed(dict(zip(staged, mode.finish([*staged.values()]), strict=True)))
    derivation, check = state.job.derivation, state.job.options.mode is BuildMode.CHECK
    if derivation.is_floating and not derivation.is_impure and not check:
        mode.outputs.store.realise(derivation, state.made)


def success(state: RunState) -> BuildResult:
    """The result of a build that succeeded, with its times."""
    return BuildResult(
        BuildStatus.BUILT,
        times_built=state.round,
        start_time=int(state.facts.started),
        stop_time=int(time.time()),
        cpu_user_us=state.exit.cpu_user_us if state.exit else None,
        cpu_system_us=state.exit.cpu_system_us if state.exit else None,
        outputs=state.made,
    )


def failure(state: RunState, error: FruixError | OSError, resources: Resources) -> BuildResult:
    """The result of a build that `error` ended.

    The failure is remembered if the operator wants that and it would fail again. A build whose outputs
    were made has succeeded all the same.
    """
    if state.infos is not None:
        _log.warning("cleaning up after %s: %s; the next start does the rest", state.job.path, error)
        return success(state)
    if isinstance(error, OSError):
        error = of_system(error)
    status = failures.status_of(error)
    if status in _REMEMBERED and resources.settings.cache_failures:
        _remember(state, resources)
    return failed(state, error)


def failed(state: RunState, error: FruixError) -> BuildResult:
    """The result of a build that `error` ended, or what comes after it."""
    state.fail(failures.reason_of(error), error.hint)
    return _failed(state, error)


def dismiss(state: RunState, listener: Listener, why: Reason) -> None:
    """It has failed for one of those who wait, whose limit is lower than that of the others."""
    job = state.job
    result = _failed(state, failures.FailedError(job.path, why, hint=_GOES_ON))
    listener.inbox.put(job.path, _event(state, result, why, _GOES_ON))
    listener.inbox.put(job.path, result)


def _failed(state: RunState, error: FruixError) -> BuildResult:
    job, status = state.job, failures.status_of(error)
    hints = [f"Hint: {error.hint}"] if error.hint else []
    if state.last_lines:
        check = "--check " if job.options.mode is BuildMode.CHECK else ""
        hints.append(f"For full logs, run:\n  fruix log {check}{job.path}")
    derivation = job.derivation
    outputs = () if derivation.is_floating else derivation.output_paths.values()  # not where they were made
    return BuildResult(
        status,
        failures.failure_message(job.path, outputs, error, state.last_lines or (), _details(state)),
        times_built=state.round,
        non_deterministic=status is BuildStatus.NOT_DETERMINISTIC,
        start_time=int(state.facts.started),
        stop_time=int(time.time()),
        hint="\n".join(hints),
    )


def log_differences(log: BuildLog, differences: Iterable[Compared]) -> None:
    """Write them to the log: where the two lie, and all places that were looked at."""
    for found in differences:
        log.append(f"first: {found.first or '(not kept)'}")
        log.append(f"second: {found.second or '(not kept)'}")
        for place in found.places:
            log.append(f"  {place}")


def _details(state: RunState) -> list[str]:
    details = state.difference_lines()
    if len(details) <= _DIFFERENCES_TOLD:
        return details
    return [*details[:_DIFFERENCES_TOLD], "… (all that were looked at are in the log)"]


def _event(state: RunState, result: BuildResult, why: Reason, hint: str) -> BuildFailed:
    return BuildFailed(
        state.job.path,
        result.status,
        result.message,
        round(time.time() - state.facts.started, 3),
        why,
        hint,
        tuple(_details(state)),
        state.course.phase_name(),
        state.course.command,
        state.course.tests.of_phase,
        state.course.tests.failed,
        tuple(state.last_lines or ()),
    )


def _remember(state: RunState, resources: Resources) -> None:
    job = state.job
    if job.options.mode is BuildMode.NORMAL and not job.derivation.is_open:  # which comes from elsewhere
        store = resources.store
        outputs = job.derivation.output_paths.values()
        store.failures.note(path for path in outputs if not store.is_valid(path))


def report(state: RunState, result: BuildResult, resources: Resources, behind: ExitStack) -> None:
    """The record, then the event: who is told about the end can read the record.

    What never began leaves no record. `behind` gets what nobody needs to wait for; the record is what
    the next start knows of it.
    """
    if state.last_lines is not None:
        try:
            failpoints.reach("record")
            known = state.known or state.tell_known()
            last = part_of(known_after(state.course, state.exit, state.ending(), result))
            write_record(state.facts.log_file, known, last)
        except OSError as error:  # a full disk: the build is what it is
            _log.warning("no record of %s: %s", state.job.path, error)
    failpoints.reach("answer")
    job, late = state.job, state.late_notes
    own = not result.success and state.reason["kind"] in OWN_ENDS
    for note in (*state.early_notes, *(late if own else ())):  # the order of guix-daemon
        job.emit(note)
    if result.success:
        _finished(state, result, round(time.time() - state.facts.started, 3), resources, behind)
    else:
        job.emit(_event(state, result, state.reason, state.hint))
    for note in () if own else late:
        job.emit(note)


def _finished(
    state: RunState, result: BuildResult, seconds: float, resources: Resources, behind: ExitStack
) -> None:
    job = state.job
    if job.options.mode is BuildMode.NORMAL and state.rounds == 1:
        phases = phase_seconds(state.course.phases)
        line = resources.history.learn(job.kind, job.derivation.name, seconds, phases, str(job.path))
        behind.callback(resources.history.write, line)
        behind.callback(failpoints.reach, "history")
    if state.log is not None:
        behind.callback(state.log.close)
        behind.callback(failpoints.reach, "pack")
    outputs = {name: str(path) for name, path in result.outputs.items()}
    job.emit(BuildFinished(job.path, seconds, outputs, checked=job.options.mode is BuildMode.CHECK))
