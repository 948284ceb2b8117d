"""How a request is met: its goals in their order, failures, shares of the slots."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from building.queue.jobs import Run, derivation, end, ok, path, submit
from fruix.building.plan.goal import Goal, Plan
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.building.queue.outcomes import CANCELLED, NOT_BEGUN
from fruix.building.queue.realisation import Realisation
from fruix.building.queue.scheduler import Scheduler
from fruix.building.run.monitor import readable
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.events import BuildFailed, Event
from fruix.model.machines import Machine
from waiting import PATIENCE, until


def goals(edges: Mapping[str, str]) -> Plan:
    """`{"a": "bc"}`: a needs b and c."""
    plan = Plan()
    for name, needs in edges.items():
        plan.goals[path(name)] = Goal(path(name), derivation(name), frozenset(path(need) for need in needs))
    return plan


def realise(scheduler: Scheduler, plan: Plan, options: BuildOptions) -> dict[str, BuildResult]:
    events: list[Event] = []
    results = Realisation(plan, scheduler, options, events.append, threading.Event()).run()
    return {drv.short_name: result for drv, result in results.items()}


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
        assert readable(job.waker, PATIENCE)
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
    plan.goals[path("n")] = replace(plan.goals[path("n")], known=here)
    events: list[Event] = []
    options = BuildOptions(max_jobs=0, keep_going=True)
    results = Realisation(plan, make(ok), options, events.append, threading.Event()).run()
    assert results[path("n")].success
    for name in "fo":
        assert "local builds are disabled (max-jobs = 0)" in results[path(name)].message
    failed = [event for event in events if isinstance(event, BuildFailed)]
    assert {event.drv for event in failed} == {path("f"), path("o")}
    assert {event.reason["kind"] for event in failed} == {"no-slots"}


def test_what_the_daemon_makes_itself_needs_no_share(make: Callable[..., Scheduler]) -> None:
    """Nor does what it fetches; no other machine would do either."""
    plan = goals({"r": "p", "p": ""})
    for name, builder in {"r": "builtin:root", "p": "builtin:fetchurl"}.items():
        own = replace(derivation(name), builder=builder)
        plan.goals[path(name)] = replace(plan.goals[path(name)], known=own)
    machines = (Machine("ssh://big", "ssh://big", "big", ("x86_64-linux",)),)
    for options in (BuildOptions(max_jobs=0), BuildOptions(machines=machines)):
        results = realise(make(lambda job: ok(job) if not job.machines else CANCELLED), plan, options)
        assert all(result.success for result in results.values())


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
    failed = {event.drv.short_name: event.reason for event in events if isinstance(event, BuildFailed)}
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
