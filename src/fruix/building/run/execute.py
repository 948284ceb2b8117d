"""Running a build's program in its sandbox, from the first process to the proof that nothing of it is alive, and the verdict on its end."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from fruix import failpoints
from fruix.building import failures
from fruix.building.builders.interface import Program
from fruix.building.builders.platforms import explain_start
from fruix.building.record.log import BuildLog
from fruix.building.resources import Resources
from fruix.building.run.limits import Watch
from fruix.building.run.monitor import drain, supervise
from fruix.building.run.state import Attempt
from fruix.building.run.suspects import Evidence, killed_for_memory, suspect
from fruix.building.workspace import Workspace
from fruix.errors import SandboxError
from fruix.model.buildresult import BuildStatus
from fruix.model.events import BuilderExited, BuildStarted
from fruix.sandbox import Exit, User


def run_program(
    program: Program, attempt: Attempt, log: BuildLog, area: Workspace, user: User, with_: Resources
) -> None:
    """Start it, watch it, end it: when this returns nothing of the build is alive and nothing is mounted.

    Raises:
        FailedError: it did not succeed, or had to be ended.
        SandboxError: it could not be started.
    """
    limits = attempt.limits
    spec = replace(
        program.spec(area, user),
        limits=limits.resources,
        memory_max=limits.max_memory,
        pids_max=limits.processes_at_most,
    )
    attempt.spec = spec
    if program.done_without_sandbox(area, user.uid, log):
        return
    directories = (with_.store.layout.builds, with_.store.layout.store)
    output, for_builder = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(output, False)
        failpoints.reach("spawn")
        try:
            child = with_.spawner.spawn(spec, for_builder)
        except SandboxError as error:
            raise explain_start(attempt.job.path, attempt.job.derivation, error, directories) from error
        os.close(for_builder)
        for_builder = -1
        try:
            _announce(attempt, child.pid)
            watch = Watch(limits, child.pid, directories)
            failpoints.reach("watch")
            ended = supervise(child.ended, output, attempt.job.waker, log, attempt.allowance, watch)
            failpoints.reach("end")
        finally:
            attempt.exit = child.finish()
            _tell_of_exit(attempt)
        drain(output, log, attempt.allowance.widest().max_log_size)
    finally:
        os.close(output)
        if for_builder >= 0:
            os.close(for_builder)
    if ended is not None:
        raise failures.FailedError(attempt.job.path, ended)
    _judge(attempt, attempt.exit, log, program.why_failed(area), directories)


def _announce(attempt: Attempt, pid: int) -> None:
    job = attempt.job
    job.emit(
        BuildStarted(
            job.path,
            job.derivation.name,
            attempt.log_file,
            pid,
            attempt.started,
            purpose=attempt.purpose,
            round=attempt.round,
            rounds=attempt.rounds,
            outputs={name: str(output.path) for name, output in job.derivation.outputs.items()},
            system=job.derivation.system,
        )
    )


def _tell_of_exit(attempt: Attempt) -> None:
    if attempt.exit is not None:
        attempt.job.emit(
            BuilderExited(attempt.job.path, attempt.exit.code, attempt.exit.signal, round(time.time(), 3))
        )


def _judge(
    attempt: Attempt,
    exited: Exit,
    log: BuildLog,
    told: failures.FailedError | None,
    directories: Sequence[str],
) -> None:
    """Whether the builder did its work; `told`: what it left word of; `directories`: on each file system that it wrote to."""
    if exited.signal is None and exited.code == 0:
        return
    limits, path = attempt.limits, attempt.job.path
    if (why := killed_for_memory(exited, limits)) is not None:
        raise failures.FailedError(path, why)
    found = suspect(Evidence(exited, limits, log.last_lines, directories))
    if found is not None and found.note is not None:
        attempt.note(found.note)
    if told is not None:
        raise told
    # A fixed output may come right another time (its source may be back), and so may what wanted space.
    transient = attempt.job.derivation.is_fixed or (found is not None and found.passing)
    status = BuildStatus.TRANSIENT_FAILURE if transient else BuildStatus.PERMANENT_FAILURE
    hint = found.hint if found else ""
    raise failures.FailedError(path, failures.exit_reason(exited), status=status, hint=hint)
