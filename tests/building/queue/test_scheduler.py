"""One build however many ask for it, in turns, in slots."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from building.queue.jobs import STORE, derivation, end, ok, path, submit
from fruix.building.plan.goal import kind_of, slots_of
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.building.queue.scheduler import Scheduler
from fruix.building.run.monitor import readable
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.events import BuildQueued, LogLine
from fruix.model.storepath import StorePath
from waiting import PATIENCE, until


def test_one_build_however_many_ask(make: Callable[..., Scheduler]) -> None:
    gate = threading.Event()
    runs: list[Job] = []

    def run(job: Job) -> BuildResult:
        runs.append(job)
        gate.wait(PATIENCE)
        job.emit(LogLine(job.path, "hello"))
        return ok(job)

    scheduler = make(run)
    inboxes = [Inbox() for _ in range(5)]
    jobs = {id(submit(scheduler, "a", inbox)) for inbox in inboxes}
    gate.set()
    for inbox in inboxes:
        assert [type(event) for _, event in (inbox.get() for _ in range(3))] == [
            BuildQueued,
            LogLine,
            BuildResult,
        ]
    assert len(jobs) == len(runs) == 1


def test_a_job_wakes_one_thread_and_its_end_none(
    make: Callable[..., Scheduler], monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, inbox, together = make(ok), Inbox(), threading.Barrier(2)
    monkeypatch.setattr(scheduler, "_run", lambda job: (together.wait(PATIENCE), ok(job))[1])
    for name in "ab":  # so that there are two threads
        submit(scheduler, name, inbox)
    assert [end(inbox), end(inbox)]

    def are_idle() -> bool:
        with scheduler._changed:
            return scheduler._idle["build"] == 2

    until(are_idle, "both threads wait")
    looks: list[str] = []

    def take(kind: str, taken: Callable[[str], Job | None] = scheduler._take) -> Job | None:
        looks.append(threading.current_thread().name)
        return taken(kind)

    monkeypatch.setattr(scheduler, "_run", ok)
    monkeypatch.setattr(scheduler, "_take", take)
    for name in "cde":
        job = submit(scheduler, name, inbox)
        assert end(inbox).success
        scheduler.leave(job, inbox, BuildOptions())
        until(are_idle, "both threads wait")
    assert len(looks) == 6  # each job is taken, and then there is none


def test_never_more_than_the_slots(make: Callable[..., Scheduler]) -> None:
    lock = threading.Lock()
    now = most = 0
    together = threading.Barrier(3)

    def run(job: Job) -> BuildResult:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait()
        with lock:
            now -= 1
        return ok(job)

    scheduler = make(run, 3)
    inbox = Inbox()
    for number in range(12):
        submit(scheduler, f"j{number}", inbox)
    said = [type(inbox.get()[1]) for _ in range(24)]
    assert said.count(BuildQueued) == said.count(BuildResult) == 12
    assert most == 3


@pytest.mark.parametrize(
    ("builder", "kind", "slots"),
    [
        ("/bin/sh", "build", "build"),
        ("builtin:fetchurl", "download", "download"),
        ("builtin:download", "download", "download"),
        ("builtin:git-download", "download", "download"),
        ("builtin:root", "builtin", "build"),
        ("builtin:buildenv", "builtin", "build"),
        ("builtin:unpack-channel", "builtin", "build"),
    ],
)
def test_kinds_and_their_slots(builder: str, kind: str, slots: str) -> None:
    assert kind_of(replace(derivation("x"), builder=builder)) == kind
    assert slots_of(kind) == slots


def test_what_the_daemon_makes_itself_takes_a_build_s_slot(make: Callable[..., Scheduler]) -> None:
    lock = threading.Lock()
    order: list[str] = []

    def run(job: Job) -> BuildResult:
        assert lock.acquire(blocking=False)  # nothing else runs
        order.append(job.kind)
        lock.release()
        return ok(job)

    scheduler, inbox = make(run, 1), Inbox()
    for number in range(6):
        name, kind = f"j{number}", ("build", "builtin")[number % 2]
        scheduler.submit(path(name), derivation(name), BuildOptions(), kind, inbox)
    for _ in range(6):
        assert end(inbox).success
    assert order == ["build", "builtin"] * 3


def held(job: Job) -> BuildResult:
    """Runs until it is cancelled."""
    assert readable(job.waker, PATIENCE)
    return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")


def test_the_same_in_another_way_waits_without_a_slot(make: Callable[..., Scheduler]) -> None:
    """Two jobs for one output: the second would do nothing but hold a slot until the first has ended."""
    gate, started = threading.Event(), threading.Event()
    order: list[str] = []

    def run(job: Job) -> BuildResult:
        order.append(job.options.contract)
        if job.options.contract == "guix":
            started.set()
            gate.wait(PATIENCE)
        return ok(job)

    output = DerivationOutput(StorePath.of(STORE, "1" * 32 + "-out"))
    same = replace(derivation("same"), outputs={"out": output})
    scheduler, inboxes = make(run, 2), [Inbox() for _ in range(3)]
    scheduler.submit(path("same"), same, BuildOptions("guix"), "build", inboxes[0])
    assert started.wait(PATIENCE)
    scheduler.submit(path("same"), same, BuildOptions("nix"), "build", inboxes[1])
    scheduler.submit(path("other"), derivation("other"), BuildOptions("fruix"), "build", inboxes[2])
    assert end(inboxes[2]).success
    assert order == ["guix", "fruix"]
    gate.set()
    assert end(inboxes[1]).success
    assert order[-1] == "nix"


def test_what_nobody_wants_any_more_costs_nothing(make: Callable[..., Scheduler]) -> None:
    scheduler, busy = make(held, 1), Inbox()
    submit(scheduler, "running", busy)
    for _ in range(100):
        inbox = Inbox()
        jobs = [submit(scheduler, f"j{number}", inbox) for number in range(10)]
        for job in jobs:
            scheduler.leave(job, inbox, BuildOptions())
            assert job.result is not None
    assert [job.derivation.name for job in scheduler.jobs()] == ["running"]
    assert len(scheduler._jobs) == 1
    assert list(scheduler._queues["build"]._lines) == []


def test_a_limit_for_each_user_keeps_slots_free() -> None:
    scheduler = Scheduler(held, {"build": 3}, per_user=2)
    try:
        inbox, other = Inbox(), Inbox()
        options = [BuildOptions(requester=Requester(uid, 0)) for uid in (1000, 1001)]
        for number in range(5):
            scheduler.submit(path(f"j{number}"), derivation("many"), options[0], "build", inbox)
        job = scheduler.submit(path("few"), derivation("few"), options[1], "build", other)
        until(lambda: job.started, "the turn of the other user")
        assert sum(bool(job.started) for job in scheduler.jobs()) == 3
    finally:
        scheduler.close()


def test_jobs_that_wait_cost_no_descriptors(make: Callable[..., Scheduler]) -> None:
    gate, started = threading.Event(), threading.Event()

    def run(job: Job) -> BuildResult:
        started.set()
        gate.wait(PATIENCE)
        return ok(job)

    scheduler, inbox = make(run, 1), Inbox()
    submit(scheduler, "first", inbox)
    started.wait()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(500):
        submit(scheduler, f"j{number}", inbox)
    assert len(os.listdir("/proc/self/fd")) - before < 10
    gate.set()
