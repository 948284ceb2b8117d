"""Running a builder in its sandbox.

From the first process to the proof that nothing of it is alive, and the verdict on its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from fruix import failpoints
from fruix.building import failures
from fruix.building.builders.platforms import explain_start
from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.builders.sandbox_spec import SandboxParams, sandbox_spec, shown_view
from fruix.building.limits import Limits, Watch
from fruix.building.record.log import BuildLog
from fruix.building.resources import Resources
from fruix.building.run.monitor import drain, supervise
from fruix.building.run.outcome import OWN_ENDS
from fruix.building.run.state import RunState
from fruix.building.run.suspects import Evidence, killed_for_memory, suspect
from fruix.building.workspace import Workspace, put_files
from fruix.dataclass import dataclass
from fruix.errors import SandboxError
from fruix.model.buildresult import BuildStatus
from fruix.model.events import BuilderExited, BuildStarted
from fruix.model.reasons import Reason, reason
from fruix.sandbox import Exit, SandboxSpec, User


def run_builder(
    undone: ExitStack,
    state: RunState,
    builder: PreparedBuilder,
    log: BuildLog,
    area: Workspace,
    user: User,
    resources: Resources,
) -> None:
    """Start it, watch it, end it.

    When this returns nothing of the build is alive. `undone`, which has the build's directories,
    takes away what is still mounted.

    Raises:
        FailedError: it did not succeed, or had to be ended.
        SandboxError: it could not be started.
    """
    limits, layout = state.allowance.widest(), resources.store.layout
    shown = shown_view(builder, area, resources)
    spec = sandbox_spec(builder, SandboxParams(area, user, shown, limits))
    state.enter_sandbox(spec, shown)
    put_files(area, builder.files, user.uid)
    if builder.at_hand:
        log.note(f"taken from {builder.at_hand}")
        from fruix.building.builders.fetch import copy_at_hand  # noqa: PLC0415 - seldom needed

        copy_at_hand(builder, area, user.uid)
        return
    execution = _Execution(state, builder, log, limits, (layout.builds, layout.store))
    with _talking(state, builder, area, user, resources):
        ended = execution.run(spec, resources, undone)
    if ended is not None:
        raise failures.FailedError(builder.path, ended)
    execution.judge(_why_not_fetched(builder, area))


@contextmanager
def _talking(
    state: RunState, builder: PreparedBuilder, area: Workspace, user: User, resources: Resources
) -> Iterator[None]:
    """Meanwhile the builder is served, if it may talk to the daemon."""
    if not builder.talks:
        yield
        return
    from fruix.building import nested  # noqa: PLC0415 - seldom needed

    build = nested.NestedBuild(
        state.job.path,
        area.base,
        frozenset(builder.candidates),
        frozenset(builder.derivation.output_paths.values()),
        frozenset(os.path.basename(bind.target) for bind in builder.others),
    )
    known = nested.KnownPaths(resources.store, build, state.roots)
    with (
        nested.listening(area.build, user.uid) as listener,
        resources.serve(nested.Talk(listener, known, user.uid, state.job.options)),
    ):
        yield
    state.learn(known.added)


@contextmanager
def open_log(undone: ExitStack, state: RunState, resources: Resources) -> Iterator[BuildLog]:
    """A log that is whole at the end of the context; `undone` gives it its last form."""
    log = BuildLog(
        state.facts.log_file,
        on_line=state.feed,
        on_phase=state.begin_phase,
        on_progress=state.emit_progress,
        keep_lines=resources.settings.log_lines,
    )
    undone.callback(_close, log)
    state.open_log(log)
    try:
        yield log
    finally:
        log.end()


def _close(log: BuildLog) -> None:
    with suppress(OSError):  # it can be read as it is
        log.close()


@contextmanager
def same_view(state: RunState, resources: Resources) -> Iterator[None]:
    """If the host was changed under the builder, its result counts for nothing.

    What it saw of the host has to be what its view's fingerprint says until its end.

    That holds for a failure too: another time it may succeed. Why a build was ended from outside
    goes before.

    Raises:
        FailedError: something was changed.
    """
    problem = None
    try:
        yield
    except failures.FailedError as error:
        if error.why["kind"] not in OWN_ENDS:
            raise
        problem = error
    view = state.shown
    if view is not None and (what := resources.views.change_since(view)):
        why = reason("view-changed", view=view.view.name, what=what)
        hint = "let the upgrade of the host finish, then build again"
        raise failures.FailedError(state.job.path, why, hint=hint) from problem
    if problem is not None:
        raise problem


def _why_not_fetched(builder: PreparedBuilder, area: Workspace) -> failures.FailedError | None:
    if builder.download is None:
        return None
    from fruix.building.builders.fetch import why_not_fetched  # noqa: PLC0415 - seldom needed

    return why_not_fetched(builder, area)


@dataclass(frozen=True, slots=True)
class _Execution:
    """One sandbox and its end.

    `directories`: one on each file system that the builder can write to.
    """

    state: RunState
    builder: PreparedBuilder
    log: BuildLog
    limits: Limits
    directories: Sequence[str]

    def run(self, spec: SandboxSpec, resources: Resources, undone: ExitStack) -> Reason | None:
        """From the first process to the last; the reason if it had to be ended.

        Raises:
            FruixError: it could not be started.
        """
        allowance = self.state.allowance
        output, for_builder = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(output, False)
            failpoints.reach("spawn")
            try:
                child = resources.spawner.spawn(spec, for_builder, self._meanwhile)
            except SandboxError as error:
                path, derivation = self.builder.path, self.builder.derivation
                raise explain_start(path, derivation, error, self.directories) from error
            undone.callback(child.tidy)
            os.close(for_builder)
            for_builder = -1
            try:
                _announce(self.state, child.pid)
                watch = Watch(self.limits, child.pid, self.directories)
                failpoints.reach("watch")
                job = self.state.job
                ended = supervise(
                    child.ended, output, job.waker, self.log, allowance, watch, on_delay=job.hurry
                )
                failpoints.reach("end")
            finally:
                self._leave(child.end())
            self.state.next_sandbox.prepare_early()
            drain(output, self.log, allowance.widest().max_log_size)
        finally:
            os.close(output)
            if for_builder >= 0:
                os.close(for_builder)
        return ended

    def _meanwhile(self) -> None:
        """What can be done while the sandbox is set up. A new file may cost as much as a step of that."""
        self.log.begin()
        self.state.tell_known()

    def _leave(self, exited: Exit) -> None:
        self.state.leave_sandbox(exited)
        path = self.builder.path
        self.state.job.emit(BuilderExited(path, exited.code, exited.signal, round(time.time(), 3)))

    def judge(self, report: failures.FailedError | None) -> None:
        """Whether the builder did its work. `report`: what it left word of.

        Raises:
            FailedError: it didn't.
        """
        exited = self.state.exit
        if exited is None or (exited.signal is None and exited.code == 0):
            return
        limits, path = self.state.allowance.widest(), self.builder.path
        if (why := killed_for_memory(exited, limits)) is not None:
            raise failures.FailedError(path, why)
        found = suspect(Evidence(exited, limits, self.log.last_lines, self.directories))
        if found is not None and found.note is not None:
            self.state.add_note(found.note)
        if report is not None:
            raise report
        # A fixed output may come right another time (its source may be back), and so may what
        # wanted space.
        transient = self.builder.derivation.is_open or (found is not None and found.passing)
        status = BuildStatus.TRANSIENT_FAILURE if transient else None
        hint = found.hint if found else ""
        raise failures.FailedError(path, failures.exit_reason(exited), status=status, hint=hint)


def _announce(state: RunState, pid: int) -> None:
    derivation = state.facts.derivation
    state.job.emit(
        BuildStarted(
            state.facts.path,
            derivation.name,
            state.facts.log_file,
            pid,
            state.facts.started,
            purpose=state.mode,
            round=state.round,
            rounds=state.rounds,
            outputs={name: str(output.path) for name, output in derivation.outputs.items()},
            system=derivation.system,
            why=state.job.why,
        )
    )
