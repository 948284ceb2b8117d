"""How a build is told to have ended: its result, its record, the last events."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from fruix import failpoints
from fruix.building import failures
from fruix.building.queue.job import Listener
from fruix.building.record.file import write_record
from fruix.building.resources import Resources
from fruix.building.run.state import Attempt
from fruix.errors import FruixError, of_system
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.events import BuildFailed, BuildFinished
from fruix.model.reasons import Reason
from fruix.model.storepath import StorePath

_log = logging.getLogger(__name__)

# How many differences between two results the message repeats; all that were looked at are in log and record.
_DIFFERENCES_TOLD = 10
_GOES_ON = "the build goes on for others, whose limits are wider: ask again later, or with another limit"


def success(attempt: Attempt, outputs: Mapping[str, StorePath]) -> BuildResult:
    """Everything went well."""
    return BuildResult(
        BuildStatus.BUILT,
        times_built=attempt.round,
        start_time=int(attempt.started),
        stop_time=int(time.time()),
        cpu_user_us=attempt.exit.cpu_user_us if attempt.exit else None,
        cpu_system_us=attempt.exit.cpu_system_us if attempt.exit else None,
        outputs=outputs,
    )


def failure(
    attempt: Attempt, outputs: Mapping[str, StorePath], error: FruixError | OSError, with_: Resources
) -> BuildResult:
    """It failed; remembered if the operator wants that and it would fail again."""
    if attempt.settled:
        _log.warning("cleaning up after %s: %s; the next start does the rest", attempt.job.path, error)
        return success(attempt, outputs)
    if isinstance(error, OSError):
        error = of_system(error)
    status = failures.status_of(error)
    attempt.reason, attempt.hint = failures.reason_of(error), error.hint
    if status is BuildStatus.PERMANENT_FAILURE and with_.settings.cache_failures:
        _remember(attempt, with_)
    return _failed(attempt, error)


def dismiss(attempt: Attempt, listener: Listener, why: Reason) -> None:
    """It has failed for one of those who wait, whose limit is lower than that of the others."""
    job = attempt.job
    result = _failed(attempt, failures.FailedError(job.path, why, hint=_GOES_ON))
    listener.inbox.put(job, _event(attempt, result, why, _GOES_ON))
    listener.inbox.put(job, result)


def _failed(attempt: Attempt, error: FruixError) -> BuildResult:
    job, status, why = attempt.job, failures.status_of(error), str(error)
    if error.hint:
        why += ("\nHint: " if "\n" in why else ". Hint: ") + error.hint
    check = job.options.mode is BuildMode.CHECK
    message = failures.failure_message(
        job.path, job.derivation, why, attempt.last_lines, _details(attempt), check=check
    )
    return BuildResult(
        status,
        message,
        times_built=attempt.round,
        non_deterministic=status is BuildStatus.NOT_DETERMINISTIC,
        start_time=int(attempt.started),
        stop_time=int(time.time()),
    )


def _details(attempt: Attempt) -> list[str]:
    details = attempt.difference_lines()
    if len(details) <= _DIFFERENCES_TOLD:
        return details
    return [*details[:_DIFFERENCES_TOLD], "… (all that were looked at are in the log)"]


def _event(attempt: Attempt, result: BuildResult, why: Reason, hint: str) -> BuildFailed:
    return BuildFailed(
        attempt.job.path,
        result.status,
        result.message,
        round(time.time() - attempt.started, 3),
        why,
        hint,
        tuple(_details(attempt)),
        attempt.phase_name(),
        attempt.command,
        attempt.tests.of_phase,
        attempt.tests.failed,
        tuple(attempt.last_lines),
    )


def _remember(attempt: Attempt, with_: Resources) -> None:
    if attempt.job.options.mode is BuildMode.NORMAL:
        store = with_.store
        outputs = [output.path for output in attempt.job.derivation.outputs.values()]
        store.failures.note(path for path in outputs if path is not None and not store.is_valid(path))


def report(attempt: Attempt, result: BuildResult, with_: Resources) -> None:
    """The record, then the event: who is told about the end can read the record. What never began leaves no record."""
    if attempt.began:
        try:
            failpoints.reach("record")
            write_record(attempt.log_file, attempt.record(result))
        except OSError as error:  # a full disk: the build is what it is
            _log.warning("no record of %s: %s", attempt.job.path, error)
    failpoints.reach("answer")
    for note in attempt.early_notes:
        attempt.job.emit(note)
    job = attempt.job
    if result.success:
        _finished(attempt, result, round(time.time() - attempt.started, 3), with_)
    else:
        job.emit(_event(attempt, result, attempt.reason, attempt.hint))
    for note in attempt.late_notes:
        job.emit(note)


def _finished(attempt: Attempt, result: BuildResult, seconds: float, with_: Resources) -> None:
    job = attempt.job
    if job.options.mode is BuildMode.NORMAL and attempt.rounds == 1:
        phases = {phase["name"]: phase["seconds"] for phase in attempt.phases}
        with_.history.add(job.kind, job.derivation.name, seconds, phases, str(job.path))
    outputs = {name: str(path) for name, path in result.outputs.items()}
    job.emit(BuildFinished(job.path, seconds, outputs, checked=job.options.mode is BuildMode.CHECK))
