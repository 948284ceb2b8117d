"""One build's life: from a derivation whose inputs are valid to its outputs, or to a failure that leaves nothing.

The order, each step undone in reverse whatever happens (`ExitStack`):

    lock the output paths → is there anything to do? (`purposes`) → log → a build user
    for each round: directories → sandbox specification → spawn → supervise → kill everything, proven → stage outputs
                    → compare with the round before; after the last: what the build is for → delete the directories
    release the user → unlock → write the record

Runs on a scheduler thread; many lives run side by side and share only the objects that are thread-safe by contract.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from fruix import failpoints
from fruix.building.builders.builtin import BUILDERS, Builtin
from fruix.building.builders.fetchurl import FETCHERS
from fruix.building.builders.interface import Fetching, OwnBuilder, Program, contract_of
from fruix.building.failures import FailedError
from fruix.building.keep import keep_build
from fruix.building.outputs.modes import Purpose, Subject, compare_rounds, purpose_of
from fruix.building.outputs.stage import check_valid, drop, stage_outputs
from fruix.building.queue.allowance import Allowance
from fruix.building.queue.job import Job
from fruix.building.record.file import read_record
from fruix.building.record.log import BuildLog
from fruix.building.resources import Resources
from fruix.building.run.execute import run_program
from fruix.building.run.monitor import readable
from fruix.building.run.outcome import dismiss, failure, report, success
from fruix.building.run.state import Attempt
from fruix.building.workspace import Workspace, new_name, workspace
from fruix.errors import BadDerivationError, FruixError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.events import Waiting
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.sandbox import JournalEntry, User
from fruix.store import LocalStore
from fruix.store.outputs.staged import Staged
from fruix.store.tree.interruption import interruptible

# How often a build that waits for somebody else's lock looks again (seconds).
LOCK_POLL = 0.1

# Kinds of reasons for which a builder itself is to blame.
_OWN_ENDS = frozenset({"exit-code", "signal"})

# By the client's world: what the name of a result gets that differs from the valid one.
_SUFFIXES = {"guix": "-check"}
_SUFFIX = ".check"


def run_build(job: Job, with_: Resources) -> BuildResult:
    """Build `job.derivation`; the result says how it went, no exception leaves but bugs."""
    # A check doesn't replace what tells how the valid outputs were made.
    log_file = with_.store.layout.log_file(job.path, check=job.options.mode is BuildMode.CHECK)
    attempt = Attempt(job, log_file)
    attempt.allowance = Allowance(job, with_.settings, partial(dismiss, attempt))
    try:
        with ExitStack() as stack:
            failpoints.reach("lock")
            _lock(stack, job, with_.store)
            stack.callback(failpoints.reach, "unlock")
            purpose = _purpose(attempt, with_)
            attempt.allowance.begin()
            with interruptible(attempt.why_stop):
                if purpose.nothing_to_do():
                    return BuildResult(BuildStatus.ALREADY_VALID, outputs=_named(job))
            attempt.purpose = purpose.name
            failpoints.reach("log")
            with _open_log(attempt, with_) as log:
                _build(stack, attempt, purpose, log, with_)
        result = success(attempt, _named(job))
    except (FruixError, OSError) as error:
        result = failure(attempt, _named(job), error, with_)
    report(attempt, result, with_)
    return result


def _lock(stack: ExitStack, job: Job, store: LocalStore) -> None:
    """Lock the outputs; somebody else may hold them for long, so this can be cancelled."""
    paths, told = _output_paths(job), False
    while (locks := store.try_lock_paths(paths)) is None:
        if not told:
            job.emit(Waiting(job.path, f"waiting for the lock on '{paths[0]}'"))
            told = True
        if readable(job.waker, LOCK_POLL):
            raise FailedError(job.path, reason("cancelled"))
    stack.enter_context(locks)


def _purpose(attempt: Attempt, with_: Resources) -> Purpose:
    job = attempt.job
    suffix = _SUFFIXES.get(attempt.contract, _SUFFIX)

    def keep() -> bool:
        return job.wanted(lambda options: options.keep_failed or options.keep_differing) is not None

    subject = attempt.subject = Subject(with_.store, job.path, _output_paths(job), keep, suffix)
    return purpose_of(
        job.options.mode,
        subject,
        attempt.tell,
        lambda: check_valid(with_.store, job.derivation, job.path, guix=_guix(job)),
        partial(_failed_alike, attempt) if with_.settings.cache_failures else None,
    )


def _failed_alike(attempt: Attempt) -> bool:
    """Whether a failure that is remembered was one under this build's contract: under another one it may go well."""
    record = read_record(attempt.log_file)
    return record is None or record.get("contract") == attempt.contract


def _guix(job: Job) -> bool:
    """Whether the rules for its outputs are those of Guix's world."""
    return contract_of(job.derivation, job.options.contract).guix_attributes


def _build(stack: ExitStack, attempt: Attempt, purpose: Purpose, log: BuildLog, with_: Resources) -> None:
    """All rounds, and what they were for."""
    job = attempt.job
    with interruptible(attempt.why_stop):
        program = _program(attempt, with_)
    log.hide(program.secrets)
    failpoints.reach("user")
    user = stack.enter_context(with_.users.acquire(lambda: job.cancelled))
    attempt.allowance.begin()  # it may have waited for the user
    attempt.rounds = 1 if job.derivation.is_fixed else job.options.rounds
    staged: list[Staged] = []
    try:
        for number in range(1, attempt.rounds + 1):
            attempt.begin_round(number)
            with (
                _area(job, with_, user.uid) as area,
                _kept_if_it_fails(attempt, program, area, with_),
                interruptible(attempt.why_stop),
            ):
                with _same_view(attempt, program, with_):
                    run_program(program, attempt, log, area, user, with_)
                latest = _stage(program, attempt, area, user, with_)
                staged, previous = latest, staged
                _judge(attempt, purpose, previous, latest, log)
    finally:
        drop(staged)


@contextmanager
def _same_view(attempt: Attempt, program: Program, with_: Resources) -> Iterator[None]:
    """What the builder saw of the host has to be what its view's fingerprint says until its end, or its result counts for nothing.

    That holds for a failure too: another time it may succeed. Why a build was ended from outside goes before.

    Raises:
        FailedError: something was changed.
    """
    problem = None
    try:
        yield
    except FailedError as error:
        if error.why["kind"] not in _OWN_ENDS:
            raise
        problem = error
    view = program.shown
    if view is not None and (what := with_.views.change_since(view)):
        why = reason("view-changed", view=view.view.name, what=what)
        hint = "let the upgrade of the host finish, then build again"
        raise FailedError(attempt.job.path, why, hint=hint) from problem
    if problem is not None:
        raise problem


def _judge(
    attempt: Attempt, purpose: Purpose, previous: list[Staged], latest: list[Staged], log: BuildLog
) -> None:
    """Compare with the round before; after the last, do what the build is for."""
    try:
        if previous:
            compare_rounds(purpose.subject, previous, latest)
        if attempt.round == attempt.rounds:
            attempt.infos = purpose.conclude(latest)
            attempt.settled = True
    finally:
        attempt.tell_differences(log)
        drop(previous)


def _stage(program: Program, attempt: Attempt, area: Workspace, user: User, with_: Resources) -> list[Staged]:
    job = attempt.job
    return stage_outputs(
        with_.store,
        job.derivation,
        job.path,
        program.results(area),
        attributes=attempt.attributes,
        guix=_guix(job),
        build_uid=user.uid,
        candidates=[*program.candidates, *_output_paths(job)],
        copy=program.networked,
        max_files=with_.settings.max_output_files,
        max_size=with_.settings.max_output_size,
    )


# Builder → what runs it; any other builder is the derivation's own program.
_BUILTINS: Mapping[str, Callable[[Attempt, Resources], Program]] = {
    **dict.fromkeys(FETCHERS, Fetching.prepare),
    **dict.fromkeys(BUILDERS, Builtin.prepare),
}


def _program(attempt: Attempt, with_: Resources) -> Program:
    """What runs: a builder of ours, or the derivation's own."""
    builder = attempt.job.derivation.builder
    if not builder.startswith("builtin:"):
        return OwnBuilder.prepare(attempt, with_)
    if builder not in _BUILTINS:
        raise BadDerivationError(
            f"unsupported builtin builder '{builder}'", hint=f"there are: {', '.join(_BUILTINS)}"
        )
    return _BUILTINS[builder](attempt, with_)


@contextmanager
def _open_log(attempt: Attempt, with_: Resources) -> Iterator[BuildLog]:
    log = BuildLog(
        attempt.log_file,
        on_line=attempt.line,
        on_phase=attempt.phase,
        on_progress=attempt.progress,
        keep_lines=with_.settings.log_lines,
    )
    attempt.began, attempt.last_lines = True, log.last_lines
    try:
        yield log
    finally:
        log.close()


@contextmanager
def _area(job: Job, with_: Resources, uid: int) -> Iterator[Workspace]:
    """The directories, with a note in the journal around them: what is left of them, the next start removes."""
    name, builds = new_name(job.path, with_.store.database.identity), with_.store.layout.builds
    failpoints.reach("journal")
    with_.journal.write(JournalEntry.of(name, uid, outputs=[path.base for path in _output_paths(job)]))
    try:
        failpoints.reach("directories")
        with workspace(builds, name, uid, uid) as area:
            yield area
    finally:
        if not os.path.lexists(f"{builds}/{name}"):
            failpoints.reach("remove-journal")
            with_.journal.forget(name)


@contextmanager
def _kept_if_it_fails(
    attempt: Attempt, program: Program, area: Workspace, with_: Resources
) -> Iterator[None]:
    """Keep a copy of a failed build's directories if the client wants one; those of a fetcher tell nothing."""
    try:
        yield
    except (FruixError, OSError):
        wanted = attempt.job.wanted(lambda options: options.keep_failed)
        if wanted and not attempt.job.cancelled and isinstance(program, OwnBuilder):
            attempt.kept = keep_build(attempt, area, with_)
        raise


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
