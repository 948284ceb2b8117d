"""One build: from a derivation whose inputs are valid to its outputs.

Or to a failure that leaves nothing.

The order, each step undone in reverse whatever happens (`ExitStack`):

    lock the output paths → is there anything to do? (`outputs.modes`) → log → a build user
    for each round: directories → sandbox specification → spawn → supervise
                    → kill everything, proven → stage outputs → compare with the round before
                    → after the last: what the build is for
    unlock → write the record → answer
    pack the log → note how long it took → unmount → delete the directories → release the user

A build that went well is answered before the last line; of one that failed nothing is left by then.
What a crash leaves of it, the next start does, which finds the record.

Runs on a scheduler thread; many lives run side by side and share only the objects that are
thread-safe by contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from fruix import failpoints
from fruix.building.builders.prepare import prepare
from fruix.building.builders.prepared_builder import PreparedBuilder, contract_of
from fruix.building.failures import FailedError
from fruix.building.outputs.modes import ModeRules, OutputSet, compare_rounds, rules_of
from fruix.building.outputs.stage import OutputRules, check_valid, drop, stage_outputs
from fruix.building.queue.allowance import Allowance
from fruix.building.queue.job import Job
from fruix.building.queue.outcomes import AGAIN
from fruix.building.record.log import BuildLog
from fruix.building.record.log_file import log_name
from fruix.building.record.record import BuildFacts
from fruix.building.record.record_file import read_record
from fruix.building.resources import Resources
from fruix.building.run.elsewhere import LostError, build_elsewhere
from fruix.building.run.execute import open_log, run_builder, same_view
from fruix.building.run.keep_failed import kept_if_it_fails
from fruix.building.run.monitor import readable
from fruix.building.run.outcome import conclude, dismiss, failed, failure, log_differences, report, success
from fruix.building.run.state import RunState
from fruix.building.workspace import BuildNote, Workspace, noted_workspace
from fruix.errors import FruixError
from fruix.log import Log
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.events import Waiting
from fruix.model.reasons import reason
from fruix.model.resolving import without_scratch_paths
from fruix.model.storepath import StorePath
from fruix.sandbox import User
from fruix.store import LocalStore
from fruix.store.outputs.staged import Staged
from fruix.store.tree.interruption import interruptible

_log = Log(__name__)

# How often a build that waits for somebody else's lock looks again (seconds).
LOCK_POLL = 0.1

# By the client's world: what the name of a result gets that differs from the valid one.
_SUFFIXES = {"guix": "-check"}
_SUFFIX = ".check"


def run_build(job: Job, resources: Resources) -> BuildResult:
    """Build `job.derivation`; the result says how it went, no exception leaves but bugs."""
    # A check doesn't replace what tells how the valid outputs were made.
    bare = resources.store.layout.log_file(job.path, check=job.options.mode is BuildMode.CHECK)
    log_file = log_name(bare, resources.settings.log_compression)
    facts = BuildFacts(job.path, job.derivation, job.options, log_file)
    allowance = Allowance(job, resources.settings, lambda listener, why: dismiss(state, listener, why))
    with ExitStack() as behind:
        state = RunState(job, facts, allowance, behind.enter_context(resources.parking.build()))
        try:
            result = _run(behind, state, resources)
        except LostError:
            return AGAIN
        except (FruixError, OSError) as error:
            result = failure(state, error, resources)
        if result.status is BuildStatus.ALREADY_VALID:
            return result
        if not result.success:
            _tidy(job.path, behind)
        report(state, result, resources, behind)
        if job.machine is None:
            behind.callback(state.next_sandbox.prepare)  # the first of what is behind, since a build may come
        job.behind = partial(_tidy, job.path, behind.pop_all())
    return result


def _tidy(path: StorePath, behind: ExitStack) -> None:
    try:
        behind.close()
    except (FruixError, OSError) as error:
        _log.warning("cleaning up after %s: %s; the next start does the rest", path, error)


def _run(behind: ExitStack, state: RunState, resources: Resources) -> BuildResult:
    """Do it; `behind` gets what may be done when it has gone well and that is told.

    Raises:
        LostError, FruixError, OSError: to be tried elsewhere, or failed; nothing is left to be done.
    """
    job = state.job
    with ExitStack() as undone:
        with ExitStack() as stack:
            # Of this thread, for this build.
            state.hold(stack.enter_context(resources.store.temp_roots.session()))
            if job.machine is None and not job.is_allowed_here():
                raise FailedError(job.path, reason("no-slots"), hint="; ".join(job.objections))
            failpoints.reach("lock")
            _lock(stack, job, resources.store)
            stack.callback(failpoints.reach, "unlock")
            mode = _mode(state, resources)
            state.set_mode(mode.name, mode.outputs)
            state.allowance.begin()
            with interruptible(state.why_stop):
                if mode.nothing_to_do():
                    return BuildResult(BuildStatus.ALREADY_VALID, outputs=_known(job, resources.store))
            resources.store.check_room()
            failpoints.reach("log")
            with open_log(undone, state, resources) as log:
                if job.machine is not None:
                    build_elsewhere(state, job.machine, mode, log, resources)
                else:
                    _build(undone, state, mode, log, resources)
        behind.push(undone.pop_all())
    return _after_build(state, success(state), resources)


def _after_build(state: RunState, result: BuildResult, resources: Resources) -> BuildResult:
    chosen = state.job.options.post_build_hook
    if hook := resources.settings.post_build_hook if chosen is None else chosen:
        from fruix.building.run.hooks import run_after  # noqa: PLC0415 - few have one

        try:
            run_after(hook, state.job, result.outputs)
        except FailedError as error:
            return failed(state, error)
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


def _mode(state: RunState, resources: Resources) -> ModeRules:
    job, store = state.job, resources.store

    def keep() -> bool:
        return job.wanted(lambda options: options.keep_failed or options.keep_differing) is not None

    suffix = _SUFFIXES.get(state.facts.contract, _SUFFIX)
    return rules_of(
        job.options.mode,
        OutputSet(store, job.path, _compared_paths(job, store), keep, suffix),
        state.emit_note,
        lambda: check_valid(store, job.derivation, job.path, guix=_guix(job)),
        partial(_failed_alike, state.facts) if resources.settings.cache_failures else None,
    )


def _failed_alike(facts: BuildFacts) -> bool:
    """Whether a failure that is remembered was one under this build's contract.

    Under another one it may go well.
    """
    record = read_record(facts.log_file)
    return record is None or record.get("contract") == facts.contract


def _prepared(job: Job, resources: Resources) -> PreparedBuilder:
    builder = prepare(job.path, job.derivation, job.options, resources)
    if (hook := resources.settings.pre_build_hook) and builder.is_own:
        from fruix.building.run.hooks import run_before  # noqa: PLC0415 - few have one

        return run_before(hook, job, builder)
    return builder


def _guix(job: Job) -> bool:
    """Whether the rules for its outputs are those of Guix's world."""
    return contract_of(job.derivation, job.options.contract).guix_attributes


def _build(undone: ExitStack, state: RunState, mode: ModeRules, log: BuildLog, resources: Resources) -> None:
    """All rounds, and what they were for."""
    job = state.job
    with interruptible(state.why_stop):
        builder = _prepared(job, resources)
    state.set_builder(builder)
    log.hide(builder.secrets)
    failpoints.reach("user")
    user = undone.enter_context(resources.users.acquire(lambda: job.cancelled))
    note = BuildNote(_output_paths(job), job.kind, check=job.options.mode is BuildMode.CHECK)
    state.begin_rounds()
    staged: list[Staged] = []
    try:
        for number in range(1, state.rounds + 1):
            state.begin_round(number)
            with ExitStack() as of_round:
                # Of what shares the daemon's user, what was made for it can't be told from what it made.
                points = None if user.shared else builder.lasting_points
                area = of_round.enter_context(noted_workspace(job.path, user.uid, resources, note, points))
                with kept_if_it_fails(state, builder, area, resources), interruptible(state.why_stop):
                    with same_view(state, resources):
                        run_builder(of_round, state, builder, log, area, user, resources)
                    latest = _stage(builder, state, area, user, resources)
                    staged, previous = latest, staged
                    _judge(state, mode, dict(zip(builder.outputs, latest, strict=True)), previous, log)
                if number == state.rounds:
                    undone.push(of_round.pop_all())
    finally:
        drop(staged)


def _judge(
    state: RunState, mode: ModeRules, latest: Mapping[str, Staged], previous: list[Staged], log: BuildLog
) -> None:
    """Compare with the round before; after the last, do what the build is for."""
    try:
        if previous:
            compare_rounds(mode.outputs, previous, [*latest.values()])
        if state.round == state.rounds:
            conclude(state, mode, latest)
    finally:
        log_differences(log, state.differences)
        drop(previous)


def _stage(
    builder: PreparedBuilder, state: RunState, area: Workspace, user: User, resources: Resources
) -> list[Staged]:
    job, settings, store = state.job, resources.settings, resources.store
    staged = stage_outputs(
        store,
        builder.derivation,
        builder.path,
        {name: f"{area.base}/{place}" for name, place in builder.outputs.items()},
        OutputRules(
            attributes=builder.attributes,
            guix=_guix(job),
            build_uid=user.uid,
            candidates=(*builder.candidates, *state.added, *_output_paths(job)),
            copy=builder.copies_outputs,
            keep_wrong=builder.contract.name == "nix" and job.options.mode is BuildMode.NORMAL,
            max_files=settings.max_output_files,
            max_size=settings.max_output_size,
        ),
    )
    if not builder.derivation.is_floating:
        return staged
    methods = (builder.derivation.outputs[name].method_algorithm for name in builder.outputs)
    named = store.name_by_contents(
        {output.info.path: (output, method) for output, method in zip(staged, methods, strict=True)}
    )
    return [named[output.info.path] for output in staged]


def _output_paths(job: Job) -> list[StorePath]:
    return sorted(job.derivation.output_paths.values())


def _known(job: Job, store: LocalStore) -> Mapping[str, StorePath]:
    """The outputs' own paths, as far as they are known."""
    derivation = job.derivation
    return store.realised(without_scratch_paths(derivation) if derivation.is_floating else derivation)


def _compared_paths(job: Job, store: LocalStore) -> list[StorePath]:
    """The outputs' paths; in a check or a repair those that were made before."""
    paths = _output_paths(job)
    if job.derivation.is_floating and job.options.mode is not BuildMode.NORMAL:
        return sorted(_known(job, store).values()) or paths
    return paths
