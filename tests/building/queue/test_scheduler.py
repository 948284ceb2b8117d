from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from fruix.building.plan.goals import Goal, Plan
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.building.queue.realisation import Realisation
from fruix.building.queue.scheduler import CANCELLED, NOT_BEGUN, Scheduler
from fruix.building.run.monitor import readable
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.events import BuildFailed, BuildQueued, Event, LogLine
from fruix.model.storepath import StorePath
from waiting import PATIENCE, until

STORE = "/frx/store"


def path(name: str) -> StorePath:
    return StorePath.of(STORE, "0" * 32 + f"-{name}.drv")


def derivation(name: str) -> Derivation:
    return Derivation(name, {}, {}, (), "x86_64-linux", "/bin/sh", (), {})


Run = Callable[[Job], BuildResult]


@pytest.fixture
def make() -> Iterator[Callable[..., Scheduler]]:
    made: list[Scheduler] = []

    def scheduler(run: Run, jobs: int = 2) -> Scheduler:
        made.append(Scheduler(run, {"build": jobs, "download": 1}))
        return made[-1]

    yield scheduler
    for one in made:
        one.close()


def ok(job: Job) -> BuildResult:
    del job
    return BuildResult(BuildStatus.BUILT)


def end(inbox: Inbox) -> BuildResult:
    """The result of the next job that ends."""

    def result() -> BuildResult | None:
        event = inbox.get(timeout=PATIENCE)[1]
        return event if isinstance(event, BuildResult) else None

    return until(result, "a result")


def submit(scheduler: Scheduler, name: str, inbox: Inbox) -> Job:
    return scheduler.submit(path(name), derivation(name), BuildOptions(), "build", inbox)


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


def test_abandoned_jobs_are_cancelled(make: Callable[..., Scheduler]) -> None:
    started, ended = threading.Event(), threading.Event()

    def run(job: Job) -> BuildResult:
        started.set()
        import select

        select.select([job.waker], [], [])
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
        import select

        select.select([job.waker], [], [])
        return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")

    scheduler = make(run, 1)
    inbox = Inbox()
    jobs = [submit(scheduler, name, inbox) for name in "abc"]
    scheduler.close()
    assert all(job.result is not None and not job.result.success for job in jobs)
    with pytest.raises(FruixError, match="shutting down"):
        submit(scheduler, "d", inbox)


def goals(edges: Mapping[str, str]) -> Plan:
    """`{"a": "bc"}`: a needs b and c."""
    plan = Plan()
    for name, needs in edges.items():
        plan.goals[path(name)] = Goal(path(name), derivation(name), frozenset(path(need) for need in needs))
    return plan


def realise(scheduler: Scheduler, plan: Plan, options: BuildOptions) -> dict[str, BuildResult]:
    events: list[Event] = []
    results = Realisation(plan, scheduler, options, events.append, threading.Event()).run()
    return {drv.name.removesuffix(".drv"): result for drv, result in results.items()}


def test_dependencies_first(make: Callable[..., Scheduler]) -> None:
    order: list[str] = []

    def run(job: Job) -> BuildResult:
        order.append(job.derivation.name)
        return ok(job)

    results = realise(make(run), goals({"top": "ab", "a": "c", "b": "c", "c": ""}), BuildOptions())
    assert all(result.success for result in results.values())
    assert order[0] == "c"
    assert order[-1] == "top"
    assert len(order) == 4


def failing(*names: str) -> Run:
    def run(job: Job) -> BuildResult:
        failed = job.derivation.name in names
        return BuildResult(BuildStatus.PERMANENT_FAILURE, "no") if failed else ok(job)

    return run


def test_keep_going_does_all_that_can_be_done(make: Callable[..., Scheduler]) -> None:
    plan = goals({"top": "ab", "a": "c", "b": "", "c": "", "other": ""})
    results = realise(make(failing("c")), plan, BuildOptions(keep_going=True))
    assert {name: result.status for name, result in results.items()} == {
        "c": BuildStatus.PERMANENT_FAILURE,
        "a": BuildStatus.DEPENDENCY_FAILED,
        "top": BuildStatus.DEPENDENCY_FAILED,
        "b": BuildStatus.BUILT,
        "other": BuildStatus.BUILT,
    }
    assert "'c.drv'" in results["a"].message


def test_without_it_the_first_failure_ends_the_request(make: Callable[..., Scheduler]) -> None:
    results = realise(make(failing("a"), 1), goals({"a": "", "top": "a"}), BuildOptions())
    assert results["a"].status == BuildStatus.PERMANENT_FAILURE
    assert not results["top"].success


def test_a_long_chain_of_failures_needs_no_stack(make: Callable[..., Scheduler]) -> None:
    names = [f"n{number}" for number in range(3000)]
    plan = Plan()
    for name, below in zip(names, ["", *names[:-1]], strict=True):
        needs = frozenset({path(below)}) if below else frozenset()
        plan.goals[path(name)] = Goal(path(name), derivation(name), needs)
    results = realise(make(failing("n0")), plan, BuildOptions(keep_going=True))
    assert results["n2999"].status == BuildStatus.DEPENDENCY_FAILED


def test_a_gone_client_ends_its_request(make: Callable[..., Scheduler]) -> None:
    cancelled = threading.Event()

    def run(job: Job) -> BuildResult:
        cancelled.set()
        import select

        select.select([job.waker], [], [])
        return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")

    results = Realisation(goals({"a": ""}), make(run), BuildOptions(), lambda _event: None, cancelled).run()
    assert not results[path("a")].success


def test_a_request_has_its_own_share_of_the_jobs(make: Callable[..., Scheduler]) -> None:
    lock = threading.Lock()
    now = most = 0

    def run(job: Job) -> BuildResult:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1
        return ok(job)

    plan = goals(dict.fromkeys("abcdefgh", ""))
    results = realise(make(run, 4), plan, BuildOptions(max_jobs=1))
    assert all(result.success for result in results.values())
    assert most == 1


def test_without_a_share_only_what_wants_to_be_here_is_built(make: Callable[..., Scheduler]) -> None:
    plan = goals({"f": "n", "n": "", "o": ""})
    here = replace(derivation("n"), env={"preferLocalBuild": "1"})
    plan.goals[path("n")] = replace(plan.goals[path("n")], derivation=here)
    events: list[Event] = []
    options = BuildOptions(max_jobs=0, keep_going=True)
    results = Realisation(plan, make(ok), options, events.append, threading.Event()).run()
    assert results[path("n")].success
    for name in "fo":
        assert "unable to start any build; increase '--max-jobs'" in results[path(name)].message
    failed = [event for event in events if isinstance(event, BuildFailed)]
    assert {event.drv for event in failed} == {path("f"), path("o")}
    assert {event.reason["kind"] for event in failed} == {"no-slots"}


def test_many_stuck_goals_need_no_stack(make: Callable[..., Scheduler]) -> None:
    plan = goals({f"n{number}": "" for number in range(2000)})
    results = realise(make(ok), plan, BuildOptions(max_jobs=0, keep_going=True))
    assert len(results) == 2000


def test_only_what_was_asked_for_is_checked(make: Callable[..., Scheduler]) -> None:
    modes: dict[str, BuildMode] = {}

    def run(job: Job) -> BuildResult:
        modes[job.derivation.name] = job.options.mode
        return ok(job)

    plan = goals({"top": "a", "a": ""})
    plan.goals[path("top")] = replace(plan.goals[path("top")], mode=BuildMode.CHECK)
    realise(make(run), plan, BuildOptions(mode=BuildMode.CHECK))
    assert modes == {"a": BuildMode.NORMAL, "top": BuildMode.CHECK}


def test_failures_without_a_build_are_told(make: Callable[..., Scheduler]) -> None:
    plan = goals({"top": "a", "a": ""})
    plan.settled[path("gone")] = BuildResult(BuildStatus.MISC_FAILURE, "missing")
    events: list[Event] = []
    options = BuildOptions(keep_going=True)
    Realisation(plan, make(failing("a")), options, events.append, threading.Event()).run()
    failed = {
        event.drv.name.removesuffix(".drv"): event.reason
        for event in events
        if isinstance(event, BuildFailed)
    }
    assert failed["gone"] == {"kind": "other", "text": "missing"}
    assert failed["top"] == {"kind": "dependencies", "count": 1, "noun": "dependency", "first": "a.drv"}


def test_what_is_asked_for_in_other_ways_is_another_build(make: Callable[..., Scheduler]) -> None:
    gate = threading.Event()

    def run(job: Job) -> BuildResult:
        gate.wait(PATIENCE)
        return ok(job)

    scheduler, inbox = make(run, 4), Inbox()
    jobs = {
        scheduler.submit(path("a"), derivation("a"), options, "build", inbox)
        for options in (
            BuildOptions(),
            BuildOptions(cores=3),
            BuildOptions(rounds=2),
            BuildOptions(contract="guix"),
            BuildOptions(mode=BuildMode.CHECK),
        )
    }
    gate.set()
    assert len(jobs) == 4


def test_goals_in_a_circle_fail(make: Callable[..., Scheduler]) -> None:
    results = realise(make(ok), goals({"a": "b", "b": "a", "c": ""}), BuildOptions(keep_going=True))
    assert results["c"].success
    assert "need each other" in results["a"].message


def test_a_bug_leaves_nobody_waiting(make: Callable[..., Scheduler]) -> None:
    def run(job: Job) -> BuildResult:
        if job.derivation.name == "odd":
            raise ZeroDivisionError("oops")
        return ok(job)

    scheduler = make(run, 1)
    results = realise(scheduler, goals({"odd": "", "even": ""}), BuildOptions(keep_going=True))
    assert "internal error: ZeroDivisionError: oops" in results["odd"].message
    assert results["even"].success


def test_no_thread_to_be_had(make: Callable[..., Scheduler], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    scheduler = make(ok)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(FruixError, match="a limit on processes") as caught:
            submit(scheduler, "a", Inbox())
        assert "raise the limits" in caught.value.hint
    assert realise(scheduler, goals({"a": ""}), BuildOptions())["a"].success


def test_a_thousand_goals_of_one_do_not_starve_another(make: Callable[..., Scheduler]) -> None:
    order: list[str] = []
    gate = threading.Event()

    def run(job: Job) -> BuildResult:
        gate.wait(PATIENCE)
        order.append(job.derivation.name)
        return ok(job)

    scheduler, many, few = make(run, 2), Inbox(), Inbox()
    options = [BuildOptions(requester=Requester(uid, 0)) for uid in (1000, 1001)]
    for number in range(1000):
        scheduler.submit(path(f"m{number}"), derivation("many"), options[0], "build", many)
    scheduler.submit(path("few"), derivation("few"), options[1], "build", few)
    gate.set()
    assert end(few).success
    assert order.index("few") <= 4


def held(job: Job) -> BuildResult:
    """Runs until it is cancelled."""
    assert readable(job.waker, PATIENCE)
    return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")


def test_who_is_told_too_late_can_not_join(make: Callable[..., Scheduler]) -> None:
    """The limits of all who waited have passed, and the build is being ended: who comes now gets one of his own."""
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
    """Before their sessions have noticed: what waits of theirs counts for nothing as soon as they are known to be gone."""
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


def test_a_request_goes_on_with_what_runs_when_the_rest_is_not_begun(make: Callable[..., Scheduler]) -> None:
    """Without keep-going: what is not begun is no failure that others are given up for."""
    gate = threading.Event()
    running: list[str] = []

    def run(job: Job) -> BuildResult:
        running.append(job.path.name)
        gate.wait(PATIENCE)
        return CANCELLED if job.cancelled else ok(job)

    scheduler = make(run, 1)
    plan = goals({"a": "", "b": "", "c": "ab", "d": "c", "e": "a"})
    results: dict[str, BuildResult] = {}
    request = threading.Thread(target=lambda: results.update(realise(scheduler, plan, BuildOptions())))
    request.start()
    until(lambda: running, "a build")
    drained = threading.Thread(target=scheduler.drain)
    drained.start()
    until(lambda: len(scheduler.jobs()) == 1, "that only one is left")
    gate.set()
    for thread in (request, drained):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert {name: result for name, result in results.items() if result.success} == {
        "a": BuildResult(BuildStatus.BUILT)
    }
    assert all(results[name] is NOT_BEGUN for name in "bcde")
