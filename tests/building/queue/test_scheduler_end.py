"""Jobs that nobody waits for any more, and the end of a scheduler."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from building.queue.jobs import STORE, derivation, end, ok, path, submit
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.building.queue.outcomes import NOT_BEGUN
from fruix.building.queue.scheduler import Scheduler
from fruix.building.run.monitor import readable
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.storepath import StorePath
from waiting import PATIENCE, until


def test_abandoned_jobs_are_cancelled(make: Callable[..., Scheduler]) -> None:
    started, ended = threading.Event(), threading.Event()

    def run(job: Job) -> BuildResult:
        started.set()
        assert readable(job.waker, PATIENCE)
        ended.set()
        return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")

    scheduler = make(run)
    first = Inbox()
    second = Inbox()
    job = submit(scheduler, "a", first)
    started.wait()
    assert submit(scheduler, "a", second) is job
    scheduler.leave(job, first, BuildOptions())
    assert not job.cancelled
    scheduler.leave(job, second, BuildOptions())
    ended.wait()
    assert job.cancelled


def test_closing_ends_everything(make: Callable[..., Scheduler]) -> None:
    def run(job: Job) -> BuildResult:
        assert readable(job.waker, PATIENCE)
        return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")

    scheduler = make(run, 1)
    inbox = Inbox()
    jobs = [submit(scheduler, name, inbox) for name in "abc"]
    scheduler.close()
    assert all(job.result is not None and not job.result.success for job in jobs)
    with pytest.raises(FruixError, match="shutting down"):
        submit(scheduler, "d", inbox)


def test_tidying_is_done_behind_the_answer(make: Callable[..., Scheduler]) -> None:
    """The next build of the same waits for it, others don't, and nothing ends before it is done."""
    gate = threading.Event()
    order: list[str] = []

    def tidy() -> None:
        gate.wait(PATIENCE)
        order.append("tidied")

    def run(job: Job) -> BuildResult:
        order.append(job.derivation.name)
        if order == ["a"]:
            job.behind = tidy
        return ok(job)

    scheduler, inboxes = make(run, 2), [Inbox() for _ in range(3)]
    output = DerivationOutput(StorePath.of(STORE, "1" * 32 + "-out"))
    built = replace(derivation("a"), outputs={"out": output})
    for inbox in inboxes[:2]:
        scheduler.submit(path("a"), built, BuildOptions(), "build", inbox)
        if inbox is inboxes[0]:
            assert end(inbox).success
            assert scheduler.jobs() == []
    submit(scheduler, "b", inboxes[2])
    assert end(inboxes[2]).success
    assert order == ["a", "b"]
    gate.set()
    assert end(inboxes[1]).success
    scheduler.drain()
    assert order == ["a", "b", "tidied", "a"]


def test_a_bug_in_tidying_ends_no_thread(make: Callable[..., Scheduler]) -> None:
    def run(job: Job) -> BuildResult:
        job.behind = lambda: 1 // 0  # type: ignore[assignment]
        return ok(job)

    scheduler, inbox = make(run, 1), Inbox()
    for name in "ab":
        submit(scheduler, name, inbox)
        assert end(inbox).success


def test_who_is_told_too_late_can_not_join(make: Callable[..., Scheduler]) -> None:
    """A build that is being ended since all limits have passed isn't joined: a new one begins."""
    gate, started = threading.Event(), threading.Event()
    runs: list[Job] = []

    def run(job: Job) -> BuildResult:
        runs.append(job)
        if len(runs) > 1:
            return ok(job)
        job.sift(lambda _listener: {"kind": "timeout", "limit": 3})
        started.set()
        gate.wait(PATIENCE)
        return BuildResult(BuildStatus.TIMED_OUT)

    scheduler, first, second = make(run), Inbox(), Inbox()
    doomed = submit(scheduler, "a", first)
    assert started.wait(PATIENCE)
    fresh = submit(scheduler, "a", second)
    assert fresh is not doomed
    gate.set()
    assert end(first).status is BuildStatus.TIMED_OUT
    assert end(second).status is BuildStatus.BUILT


def test_a_job_cancelled_before_its_turn_is_not_run(make: Callable[..., Scheduler]) -> None:
    gate, started = threading.Event(), threading.Event()
    ran: list[str] = []

    def run(job: Job) -> BuildResult:
        ran.append(job.derivation.name)
        started.set()
        gate.wait(PATIENCE)
        return ok(job)

    scheduler, inbox, other = make(run, 1), Inbox(), Inbox()
    submit(scheduler, "first", inbox)
    started.wait()
    job = submit(scheduler, "second", other)
    scheduler.leave(job, other, BuildOptions())
    assert job not in scheduler.jobs(), "it waits no longer, and costs nothing"
    gate.set()
    scheduler.close()
    assert ran == ["first"]
    assert job.result is not None


def test_what_only_clients_wait_for_that_have_gone_is_not_shown_and_not_begun(
    make: Callable[..., Scheduler],
) -> None:
    """What waits for a client counts for nothing as soon as that is known to be gone.

    Its session need not have noticed.
    """
    gate, runs = threading.Event(), []

    def run(job: Job) -> BuildResult:
        runs.append(job.path.name)
        gate.wait(PATIENCE)
        return ok(job)

    scheduler, inbox = make(run, 1), Inbox()
    first_gone, second_gone = threading.Event(), threading.Event()
    first, second = Inbox(first_gone.is_set), Inbox(second_gone.is_set)
    submit(scheduler, "runs", inbox)
    until(lambda: runs, "the build that takes the slot")
    for one in (first, second):
        submit(scheduler, "waits", one)
    first_gone.set()
    assert [job.path.name for job in scheduler.jobs()] == ["runs.drv", "waits.drv"]
    second_gone.set()
    assert [job.path.name for job in scheduler.jobs()] == ["runs.drv"]
    gate.set()
    assert end(inbox).success
    assert end(second).message == "cancelled"
    assert runs == ["runs.drv"]


def test_who_comes_after_those_that_have_gone_gets_a_build(make: Callable[..., Scheduler]) -> None:
    gate = threading.Event()

    def run(job: Job) -> BuildResult:
        gate.wait(PATIENCE)
        return ok(job)

    scheduler, inbox, late = make(run, 1), Inbox(), Inbox()
    submit(scheduler, "runs", inbox)
    until(lambda: scheduler.jobs()[0].started, "the build that takes the slot")
    submit(scheduler, "waits", Inbox(lambda: True))
    submit(scheduler, "waits", late)
    assert [job.path.name for job in scheduler.jobs()] == ["runs.drv", "waits.drv"]
    gate.set()
    assert end(late).success


def test_draining_begins_nothing_and_waits_for_what_runs(make: Callable[..., Scheduler]) -> None:
    gate, runs = threading.Event(), []

    def run(job: Job) -> BuildResult:
        runs.append(job.path.name)
        gate.wait(PATIENCE)
        return ok(job)

    scheduler, first, second, late = make(run, 1), Inbox(), Inbox(), Inbox()
    submit(scheduler, "runs", first)
    until(lambda: runs, "the build that takes the slot")
    submit(scheduler, "waits", second)
    drained = threading.Thread(target=scheduler.drain)
    drained.start()
    assert end(second) is NOT_BEGUN
    submit(scheduler, "late", late)
    assert end(late) is NOT_BEGUN
    submit(scheduler, "runs", late)  # there is such a build already
    assert drained.is_alive()
    gate.set()
    assert end(first).success
    assert end(late).success
    drained.join(PATIENCE)
    assert not drained.is_alive()
    assert runs == ["runs.drv"]
    assert scheduler.jobs() == []


def test_closing_ends_the_waiting_for_what_runs(make: Callable[..., Scheduler]) -> None:
    def run(job: Job) -> BuildResult:
        until(lambda: readable(job.waker, 0.1), "the end of the job")
        return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")

    scheduler, inbox = make(run, 1), Inbox()
    submit(scheduler, "runs", inbox)
    until(lambda: scheduler.jobs()[0].started, "the build")
    drained = threading.Thread(target=scheduler.drain)
    drained.start()
    scheduler.close()
    drained.join(PATIENCE)
    assert not drained.is_alive()
