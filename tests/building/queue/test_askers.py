"""One job, several who wait for it: each has his own limits."""

from __future__ import annotations

import pytest

from fruix.building.limits import INTERVAL, Limits
from fruix.building.queue import allowance as module
from fruix.building.queue.allowance import Allowance
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job, Listener
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.reasons import Reason
from fruix.model.storepath import StorePath

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
