"""One build's life: from a derivation whose inputs are valid to registered outputs, or to a failure that leaves nothing.

The order, each step undone in reverse whatever happens (`ExitStack`):

    lock the output paths → somebody was faster? done
    delete left-overs → a build user → directories → host view → sandbox specification → log
    spawn → supervise → kill everything, proven → take outputs → register all in one transaction
    write the record → delete directories → release the user → unlock

Runs on a scheduler thread; many lives run side by side and share only the objects that are thread-safe by contract.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fruix.build import messages
from fruix.build.attempt import Attempt
from fruix.build.fetch.builtin import BUILTINS
from fruix.build.logs import BuildLog
from fruix.build.outputs import take_outputs
from fruix.build.platforms import check_system
from fruix.build.programs import Fetching, OwnBuilder, Program
from fruix.build.records import write_record
from fruix.build.resources import Resources
from fruix.build.scheduler import Job
from fruix.build.supervise import Ending, Limits, drain, supervise
from fruix.build.workspace import Workspace, new_name, workspace
from fruix.errors import BadDerivationError, FruixError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.events import BuilderExited, BuildFailed, BuildFinished, BuildStarted
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit, faults
from fruix.store import LocalStore

_log = logging.getLogger(__name__)


class _FailedError(FruixError):
    """The builder ran and didn't succeed; carries the build status."""

    def __init__(self, reason: str, status: BuildStatus) -> None:
        super().__init__(reason)
        self.status = status


def run_build(job: Job, with_: Resources) -> BuildResult:
    """Build `job.derivation`; the result says how it went, no exception leaves but bugs."""
    attempt = Attempt(job, with_.store.layout.log_file(job.path))
    last_lines: tuple[str, ...] = ()
    try:
        with ExitStack() as stack:
            faults.reach("lock")
            stack.enter_context(with_.store.lock_paths(_output_paths(job)))
            stack.callback(faults.reach, "unlock")
            if all(with_.store.is_valid(path) for path in _output_paths(job)):
                return BuildResult(BuildStatus.ALREADY_VALID, outputs=_named(job))
            faults.reach("log")
            log = _open_log(attempt, with_)
            try:
                _build(stack, attempt, log, with_)
            finally:
                log.close()
                last_lines = tuple(log.last_lines)
        result = _success(attempt)
    except (FruixError, OSError) as error:
        result = _failure(attempt, error, last_lines)
    _report(attempt, result, with_)
    return result


def _build(stack: ExitStack, attempt: Attempt, log: BuildLog, with_: Resources) -> None:
    job, store = attempt.job, with_.store
    check_system(job.derivation)
    for path in _output_paths(job):
        if not store.is_valid(path):
            store.delete_unregistered(path)
    program = _program(attempt, with_)
    faults.reach("user")
    user = stack.enter_context(with_.users.acquire())
    area = stack.enter_context(_area(job, with_, user.uid))
    ending = _run(program, attempt, log, area, user.uid, with_)
    _judge(ending, attempt, with_)
    attempt.infos = take_outputs(
        store,
        job.derivation,
        job.path,
        program.results(area),
        build_uid=user.uid,
        candidates=[*program.candidates, *_output_paths(job)],
        copy=program.networked,
    )
    _register(attempt, store)


def _register(attempt: Attempt, store: LocalStore) -> None:
    """Make the outputs valid, or leave none of them behind."""
    try:
        faults.reach("register")
        store.register(attempt.infos)
        attempt.registered = True
    except BaseException:
        for info in attempt.infos:
            if not store.is_valid(info.path):
                store.delete_unregistered(info.path)
        raise


def _program(attempt: Attempt, with_: Resources) -> Program:
    """What runs: a built-in fetcher, or the derivation's own builder."""
    builder = attempt.job.derivation.builder
    if not builder.startswith("builtin:"):
        return OwnBuilder.prepare(attempt, with_)
    if builder not in BUILTINS:
        raise BadDerivationError(
            f"unsupported builtin builder '{builder}'", hint=f"there are: {', '.join(BUILTINS)}"
        )
    return Fetching.prepare(attempt, with_)


def _run(
    program: Program, attempt: Attempt, log: BuildLog, area: Workspace, uid: int, with_: Resources
) -> Ending:
    """Start it, watch it, end it: when this returns nothing of the build is alive and nothing is mounted."""
    spec = attempt.spec = program.spec(area, uid)
    if program.done_without_sandbox(area, uid, log):
        return Ending.EXITED
    options, settings = attempt.job.options, with_.settings
    limits = Limits(
        options.timeout if options.timeout is not None else settings.timeout,
        options.max_silent_time if options.max_silent_time is not None else settings.max_silent_time,
    )
    output, for_builder = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(output, False)
        faults.reach("spawn")
        child = with_.spawner.spawn(spec, for_builder)
        os.close(for_builder)
        for_builder = -1
        try:
            _announce(attempt, child.pid)
            faults.reach("watch")
            ending = supervise(child.ended, output, attempt.job.waker, log, limits)
            faults.reach("end")
        finally:
            attempt.exit = child.finish()
            _tell_of_exit(attempt)
        drain(output, log)
        return ending
    finally:
        os.close(output)
        if for_builder >= 0:
            os.close(for_builder)


def _announce(attempt: Attempt, pid: int) -> None:
    job = attempt.job
    job.emit(BuildStarted(job.path, job.derivation.name, attempt.log_file, pid, attempt.started))


def _tell_of_exit(attempt: Attempt) -> None:
    if attempt.exit is not None:
        attempt.job.emit(
            BuilderExited(attempt.job.path, attempt.exit.code, attempt.exit.signal, round(time.time(), 3))
        )


def _judge(ending: Ending, attempt: Attempt, with_: Resources) -> None:
    """Whether the builder did its work."""
    options, settings = attempt.job.options, with_.settings
    if ending != Ending.EXITED:
        reason = messages.ending_reason(
            ending,
            timeout=options.timeout if options.timeout is not None else settings.timeout,
            max_silent_time=options.max_silent_time
            if options.max_silent_time is not None
            else settings.max_silent_time,
            max_log_size=settings.max_log_size,
        )
        raise _FailedError(reason, messages.STATUS_OF_ENDING[ending])
    exited = attempt.exit
    if exited is not None and (exited.signal is not None or exited.code != 0):
        raise _FailedError(messages.exit_reason(exited), _exit_status(attempt, exited))


def _exit_status(attempt: Attempt, exited: Exit) -> BuildStatus:
    """A fixed output may come right another time (its source may be back), anything else fails for good."""
    transient = attempt.job.derivation.is_fixed or exited.signal is not None
    return BuildStatus.TRANSIENT_FAILURE if transient else BuildStatus.PERMANENT_FAILURE


def _open_log(attempt: Attempt, with_: Resources) -> BuildLog:
    settings = with_.settings
    return BuildLog(
        attempt.log_file,
        on_line=attempt.line,
        on_phase=attempt.phase,
        on_progress=attempt.progress,
        keep_lines=settings.log_lines,
        max_size=settings.max_log_size,
    )


@contextmanager
def _area(job: Job, with_: Resources, uid: int) -> Iterator[Workspace]:
    """The directories, with a note in the journal around them: what is left of them, the next start removes."""
    name, builds, outputs = new_name(job.path), with_.store.layout.builds, _output_paths(job)
    faults.reach("journal")
    with_.journal.write(name, uid=uid, outputs=[path.base for path in outputs])
    try:
        faults.reach("directories")
        with workspace(builds, name, uid, uid) as area:
            yield area
    finally:
        if not os.path.lexists(f"{builds}/{name}"):
            faults.reach("remove-journal")
            with_.journal.forget(name)


def _output_paths(job: Job) -> list[StorePath]:
    paths = [output.path for output in job.derivation.outputs.values()]
    if None in paths:
        raise BadDerivationError(
            f"derivation '{job.path}' has outputs whose paths are not known before it is built (content-addressed)",
            hint="experimental kinds of derivations ('ca-derivations', 'dynamic-derivations') are not supported",
        )
    return sorted(path for path in paths if path is not None)


def _named(job: Job) -> dict[str, StorePath]:
    return {name: output.path for name, output in job.derivation.outputs.items() if output.path is not None}


def _success(attempt: Attempt) -> BuildResult:
    return BuildResult(
        BuildStatus.BUILT,
        times_built=1,
        start_time=int(attempt.started),
        stop_time=int(time.time()),
        cpu_user_us=attempt.exit.cpu_user_us if attempt.exit else None,
        cpu_system_us=attempt.exit.cpu_system_us if attempt.exit else None,
        outputs=_named(attempt.job),
    )


def _failure(attempt: Attempt, error: FruixError | OSError, last_lines: tuple[str, ...]) -> BuildResult:
    if attempt.registered:
        _log.warning("cleaning up after %s: %s; the next start does the rest", attempt.job.path, error)
        return _success(attempt)
    if isinstance(error, OSError):
        error = FruixError(error.strerror or str(error), where=str(error.filename or ""))
    status = error.status if isinstance(error, _FailedError) else messages.status_of(error)
    reason = f"{error}. Hint: {error.hint}" if error.hint else str(error)
    message = messages.failure_message(attempt.job.path, attempt.job.derivation, reason, last_lines)
    return BuildResult(status, message, start_time=int(attempt.started), stop_time=int(time.time()))


def _report(attempt: Attempt, result: BuildResult, with_: Resources) -> None:
    """The record, then the event: who is told about the end can read the record."""
    job = attempt.job
    try:
        faults.reach("record")
        write_record(attempt.log_file, attempt.record(result))
    except OSError as error:
        _log.warning("no record of %s: %s", job.path, error)
    faults.reach("answer")
    seconds = round(time.time() - attempt.started, 3)
    if result.success:
        phases = {phase["name"]: phase["seconds"] for phase in attempt.phases}
        with_.history.add(job.kind, job.derivation.name, seconds, phases)
        job.emit(BuildFinished(job.path, seconds, {name: str(path) for name, path in result.outputs.items()}))
    else:
        job.emit(BuildFailed(job.path, result.status, result.message, seconds))
