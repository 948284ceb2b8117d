"""Which machine takes a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from building.queue.jobs import path
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.fleet import REST, Fleet
from fruix.building.queue.job import Job
from fruix.building.queue.outcomes import AGAIN
from fruix.building.queue.scheduler import ELSEWHERE, Scheduler
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.machines import parse_machines
from fruix.this_machine import local_system
from waiting import until

FOREIGN = "m68k-amiga"


def options(text: str, *, here: bool = True) -> BuildOptions:
    return BuildOptions("fruix", machines=parse_machines(text, FOREIGN), here=here)


def derivation(system: str = FOREIGN, **env: str) -> Derivation:
    return Derivation("x", {}, {}, (), system, "/bin/sh", (), env)


def job(fleet: Fleet, chosen: BuildOptions, built: Derivation | None = None) -> Job:
    made = Job(path("x"), built or derivation(), chosen, "build")
    made.join(Inbox(), chosen)
    fleet.prepare(made)
    return made


def sent(fleet: Fleet, chosen: BuildOptions, number: int) -> list[str]:
    """The machines that take so many builds, one after the other."""
    found = []
    for _ in range(number):
        one = job(fleet, chosen)
        assert fleet.may_go(one)
        fleet.send(one)
        assert one.machine is not None
        found.append(one.machine.host)
    return found


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a;b", "ab"),
        ("slow - - 2 1;fast - - 4 2", ["fast", "slow", "fast", "fast", "slow", "fast"]),
        ("a - - 1 9;b - - 3 1", "abbb"),
    ],
    ids=["equal", "speed", "full"],
)
def test_the_fewest_builds_for_its_speed(text: str, order: Sequence[str]) -> None:
    fleet = Fleet(BuildSettings())
    assert sent(fleet, options(text), len(order)) == list(order)
    assert not fleet.may_go(job(fleet, options(text)))


def test_the_choice_is_explained() -> None:
    fleet = Fleet(BuildSettings())
    chosen = options(f"a - - 1 2;b;c {local_system()};d - - - - - x")
    sent(fleet, chosen, 1)
    one = job(fleet, chosen)
    fleet.send(one)
    assert one.why == (
        "sent to 'b' (0 of 1 builds, speed 1); 'a' (1 of 1 builds, speed 2);"
        f" 'c' builds for {local_system()}; 'd' is for what requires 'x'"
    )


def test_this_machine_builds_what_it_can_when_the_others_are_busy() -> None:
    fleet = Fleet(BuildSettings())
    chosen, mine = options(f"a {local_system()},{FOREIGN}"), derivation(local_system())
    assert not fleet.may_stay(job(fleet, chosen, mine))
    sent(fleet, chosen, 1)
    assert fleet.may_stay(job(fleet, chosen, mine))
    assert not fleet.may_stay(job(fleet, chosen))
    assert not fleet.may_stay(job(fleet, options(f"a {local_system()}", here=False), mine))


def test_what_prefers_this_machine_stays_if_it_may() -> None:
    fleet = Fleet(BuildSettings())
    mine = derivation(local_system(), preferLocalBuild="1")
    text = f"a {local_system()}"
    assert fleet.may_stay(job(fleet, options(text), mine))
    assert not fleet.may_go(job(fleet, options(text), mine))
    assert fleet.may_go(job(fleet, options(text, here=False), mine))


def test_one_that_was_not_reached_rests() -> None:
    now = 100.0
    fleet = Fleet(BuildSettings(), lambda: now)
    chosen = options(f"a {local_system()},{FOREIGN}")
    one = job(fleet, chosen)
    fleet.send(one)
    fleet.done(one, lost=True)
    assert (one.machines, one.machine) == ([], None)
    assert not fleet.may_go(job(fleet, chosen, derivation(local_system())))
    assert fleet.may_go(job(fleet, chosen))  # nobody else can
    now += REST
    assert fleet.may_go(job(fleet, chosen, derivation(local_system())))


def test_what_one_machine_loses_another_one_builds() -> None:
    gone: list[str] = []

    def run(one: Job) -> BuildResult:
        place = one.machine.host if one.machine else "here"
        gone.append(place)
        return AGAIN if place == "broken" else BuildResult(BuildStatus.BUILT, place)

    scheduler = Scheduler(run, {"build": 1, ELSEWHERE: 8}, Fleet(BuildSettings()))
    try:
        inbox, chosen = Inbox(), options("broken - - 1 5;good")
        one = scheduler.submit(path("x"), derivation(), chosen, "build", inbox)
        until(lambda: one.result, "its result")
        assert one.result == BuildResult(BuildStatus.BUILT, "good")
        assert gone == ["broken", "good"]
        assert scheduler.jobs() == []
    finally:
        scheduler.close()


def test_what_is_impure_is_made_here() -> None:
    fleet, chosen = Fleet(BuildSettings()), options("a")
    scratch = path("scratch")
    for method, digest, goes in (("", "", True), ("r:sha256", "", True), ("r:sha256", "impure", False)):
        outputs = {"out": DerivationOutput(scratch, method, digest)}
        made = replace(derivation(), outputs=outputs)
        assert (not all(fleet.suitable(made, chosen).values())) is goes
