"""One build, several who wait for it: each has his own limits and his own rules."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from asking import Clock, options
from fruix import failpoints
from fruix.building.limits import INTERVAL, Limits
from fruix.building.queue import allowance as module
from fruix.building.queue.allowance import Allowance
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job, Listener
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed, BuildQueued, BuildStarted, Event, LogLine
from fruix.model.hashes import Hash
from fruix.model.reasons import Reason
from fruix.model.storepath import StorePath
from machine import Machine, machines
from waiting import PATIENCE

here, shell = machines()
PATH = StorePath.of("/frx/store", "0" * 32 + "-a.drv")
SETTINGS = BuildSettings(timeout=1000, max_silent_time=100, max_log_size=10_000)


class Standing:
    """`time` for a module, standing still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1e6
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now


class Waiting:
    """A job with requesters, and what they are told."""

    def __init__(self, clock: Standing) -> None:
        self._clock = clock
        self.told: list[tuple[str, Reason]] = []
        self._names: dict[Inbox, str] = {}
        plain = Derivation("a", {}, {}, (), "x86_64-linux", "/bin/sh", (), {})
        self.job = Job(PATH, plain, BuildOptions(), "build")

    def join(self, name: str, **asked: int) -> Inbox:
        inbox = Inbox()
        self._names[inbox] = name
        assert self.job.join(inbox, BuildOptions(**asked))  # type: ignore[arg-type]
        listener = self.job._listeners[inbox]
        self.job._listeners[inbox] = Listener(inbox, listener.options, self._clock.now)
        return inbox

    def begin(self, settings: BuildSettings = SETTINGS) -> Allowance:
        return Allowance(self.job, settings, lambda who, why: self.told.append((self._names[who.inbox], why)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Standing:
    return Standing(monkeypatch)


@pytest.fixture
def waiting(clock: Standing) -> Waiting:
    return Waiting(clock)


def test_each_has_his_own_time(clock: Standing, waiting: Waiting) -> None:
    waiting.join("quick", timeout=3)
    waiting.join("root")
    allowed = waiting.begin()
    assert allowed.passed() is None
    clock.now += 2.9
    assert allowed.passed() is None
    clock.now += 0.1
    assert allowed.passed() is None
    assert waiting.told == [("quick", {"kind": "timeout", "limit": 3})]
    clock.now += 996
    assert allowed.passed() is None
    clock.now += 1
    assert allowed.passed() == {"kind": "timeout", "limit": 1000}
    assert len(waiting.told) == 1


def test_when_the_patient_one_leaves_the_limits_are_those_of_the_others(
    clock: Standing, waiting: Waiting
) -> None:
    waiting.join("quick", timeout=3)
    patient = waiting.join("patient", timeout=0)
    allowed = waiting.begin()
    assert allowed.widest().timeout == 0
    waiting.job.leave(patient)
    assert allowed.widest().timeout == 3
    clock.now += 3
    assert allowed.passed() == {"kind": "timeout", "limit": 3}
    assert waiting.told == []


def test_who_joins_later_has_his_time_from_then_on(clock: Standing, waiting: Waiting) -> None:
    waiting.join("first", timeout=0)
    allowed = waiting.begin()
    allowed.passed()
    clock.now += 500
    waiting.join("late", timeout=3)
    assert allowed.passed() is None
    clock.now += 2.9
    assert allowed.passed() is None
    assert waiting.told == []
    clock.now += INTERVAL
    allowed.passed()
    assert [name for name, _ in waiting.told] == ["late"]


def test_silence_and_log_size_too(clock: Standing, waiting: Waiting) -> None:
    waiting.join("first", max_silent_time=0)
    waiting.join("restless", max_silent_time=5)
    waiting.join("terse", max_log_size=10)
    allowed = waiting.begin()
    assert allowed.passed(10) is None
    assert allowed.passed(11) is None
    assert waiting.told == [("terse", {"kind": "log-limit", "limit": 10})]
    clock.now += 4
    allowed.heard()
    clock.now += 4
    assert allowed.passed(11) is None
    clock.now += 1
    assert allowed.passed(11) is None
    assert waiting.told[1:] == [("restless", {"kind": "silence", "limit": 5})]
    assert allowed.passed(10_001) == {"kind": "log-limit", "limit": 10_000}


def test_without_a_builder_there_is_no_silence(clock: Standing, waiting: Waiting) -> None:
    waiting.join("restless", max_silent_time=5)
    allowed = waiting.begin()
    clock.now += 50
    assert allowed.passed() is None
    clock.now += INTERVAL
    assert allowed.passed(0) == {"kind": "silence", "limit": 5}


def test_another_round_begins_anew(clock: Standing, waiting: Waiting) -> None:
    waiting.join("first", timeout=3)
    allowed = waiting.begin()
    clock.now += 2
    allowed.begin_round()
    clock.now += 2
    assert allowed.passed() is None


def test_nobody_prolongs_a_build_beyond_the_operator_s_limits(clock: Standing, waiting: Waiting) -> None:
    """Neither by joining again and again, nor by rounds."""
    allowed = waiting.begin(BuildSettings(timeout_limit=100))
    for number in range(9):
        waiting.join(f"again-{number}", timeout=0)
        clock.now += 11
        assert allowed.passed(0) is None
        allowed.begin_round()
    clock.now += 1
    assert allowed.passed(0) == {"kind": "timeout", "limit": 100}


def test_nobody_prolongs_its_silence(clock: Standing, waiting: Waiting) -> None:
    allowed = waiting.begin(BuildSettings(silent_time_limit=30))
    for number in range(3):
        waiting.join(f"quiet-{number}")
        assert allowed.passed(0) is None
        clock.now += 10
    assert allowed.passed(0) == {"kind": "silence", "limit": 30}


def test_nobody_joins_a_build_that_is_being_ended(clock: Standing, waiting: Waiting) -> None:
    waiting.join("quick", timeout=3)
    allowed = waiting.begin()
    clock.now += 3
    assert allowed.passed() is not None
    assert not waiting.job.join(Inbox(), BuildOptions(timeout=0))


def test_the_operator_s_limits_hold_for_all() -> None:
    settings = BuildSettings(timeout=50, timeout_limit=100, silent_time_limit=10)
    for asked, granted in ((None, 50), (0, 100), (99, 99), (101, 100)):
        assert Limits.of(BuildOptions(timeout=asked), settings).timeout == granted
    for asked, granted in ((None, 10), (0, 10), (9, 9), (11, 10)):
        assert Limits.of(BuildOptions(max_silent_time=asked), settings).max_silent_time == granted
    assert Limits.of(BuildOptions(timeout=0), BuildSettings()).timeout == 0


def build(
    here: Machine, drv: StorePath, chosen: BuildOptions, on_event: Callable[[Event], None]
) -> tuple[threading.Thread, list[BuildResult]]:
    """In a thread of its own: it, and where the result will be."""
    found: list[BuildResult] = []

    def run() -> None:
        ((_, result),) = here.builder.realise([DerivedPath(drv, ALL)], chosen, on_event, threading.Event())
        found.append(result)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


@pytest.mark.usefixtures("either_back_end")
def test_one_s_limit_does_not_end_the_build_of_another(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first who asks has little time: it fails for him alone, and the other gets what he waits for."""
    drv = here.derivation(
        "slow", "echo up; until test -e $NIX_STORE/go; do sleep 0.05; done; echo x > $out", shell
    )
    time, up, joined = Clock(monkeypatch), threading.Event(), threading.Event()
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        if isinstance(event, LogLine):
            up.set()

    quick, told = build(here, drv, options(timeout=40_000, max_silent_time=0), hear)
    assert up.wait(PATIENCE)
    patient, got = build(here, drv, options(timeout=0, max_silent_time=0), lambda _event: joined.set())
    assert joined.wait(PATIENCE)
    time.jump()
    quick.join(PATIENCE)
    (result,) = told
    assert result.status is BuildStatus.TIMED_OUT
    assert "timed out after 40000 seconds" in result.message
    assert "the build goes on for others, whose limits are wider" in result.message
    assert "> up" in result.message
    failed = events[-1]
    assert isinstance(failed, BuildFailed)
    assert failed.reason == {"kind": "timeout", "limit": 40_000}
    (running,) = here.builder.active()
    (area,) = Path(here.store.layout.builds).glob("frx-*/store")
    (area / "go").touch()
    patient.join(PATIENCE)
    assert [one.status for one in got] == [BuildStatus.BUILT]
    assert running.drv == drv


def fixed_with_reference(here: Machine, shell: StorePath) -> StorePath:
    """Its one output holds a store path."""
    digest = Hash.of("sha256", f"{shell}\n".encode())
    outputs = {"out": DerivationOutput(None, "sha256", digest.base16)}
    return here.derivation("fixed", f"echo {shell} > $out", shell, outputs=outputs)


def setting(flag: threading.Event, kind: type[Event]) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        if isinstance(event, kind):
            flag.set()

    return hear


RULE = "fixed-output derivations must not reference store paths"


@pytest.mark.parametrize("first", ["guix", "nix"])
def test_a_result_obeys_the_rules_of_each_who_gets_it(here: Machine, shell: StorePath, first: str) -> None:
    """What Guix's rules allow is refused to a client of Nix's that waits for it at the same time.

    The other way round nothing is refused.
    """
    drv = fixed_with_reference(here, shell)
    second = "nix" if first == "guix" else "guix"
    started, queued = threading.Event(), threading.Event()

    def tell(step: str) -> None:
        if step == "take":
            assert queued.wait(PATIENCE)

    failpoints.watch(tell)
    try:
        one, got = build(
            here,
            drv,
            options(contract=first),
            setting(started, BuildStarted),
        )
        assert started.wait(PATIENCE)
        other, told = build(here, drv, options(contract=second), setting(queued, BuildQueued))
        for thread in (one, other):
            thread.join(PATIENCE)
    finally:
        failpoints.watch(lambda _step: None)
    results = {first: got[0], second: told[0]}
    assert results["guix"].status is BuildStatus.BUILT, results["guix"].message
    assert results["nix"].status is BuildStatus.OUTPUT_REJECTED
    assert RULE in results["nix"].message
    if first == "guix":
        assert "another build has made them valid meanwhile" in results["nix"].message
    (path,) = here.store.derivation_outputs(drv).values()
    assert here.store.references(path) == [shell]


def test_what_is_valid_is_valid(here: Machine, shell: StorePath) -> None:
    """Who asks later for a valid path gets it, whoever made it: as with Guix's and Nix's daemons."""
    drv = fixed_with_reference(here, shell)
    assert here.build(drv, options=options(contract="guix"))[0].success
    (result,) = here.build(drv, options=options(contract="nix"))
    assert result.status is BuildStatus.ALREADY_VALID
    (result,) = here.build(drv, options=options(BuildMode.CHECK, contract="nix"))
    assert RULE in result.message
