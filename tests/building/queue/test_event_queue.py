"""A client that does not read: what waits for it is bounded, the build and other clients go on."""

from __future__ import annotations

import contextlib
import threading
from queue import Empty

import pytest

from fruix.building.queue import event_queue as module
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.events import BuilderExited, BuildStarted, Event, LogLine, Message, PhaseStarted, Progress
from fruix.model.storepath import StorePath
from waiting import PATIENCE

PATH = StorePath.of("/frx/store", "0" * 32 + "-a.drv")


@pytest.fixture
def job() -> Job:
    return Job(PATH, Derivation("a", {}, {}, (), "x86_64-linux", "/bin/sh", (), {}), BuildOptions(), "build")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    monkeypatch.setattr(module, "ROOM", 100_000)
    monkeypatch.setattr(module, "MOST", 200_000)


END = BuildResult(BuildStatus.BUILT)
STARTED = BuildStarted(PATH, "a", "/log", 1, 1.0)


def everything(inbox: Inbox) -> list[Event | BuildResult]:
    found: list[Event | BuildResult] = []
    while True:
        try:
            found.append(inbox.get(timeout=0)[1])
        except Empty:
            return found


def test_lines_are_left_out_and_counted() -> None:
    inbox = Inbox()
    for number in range(5000):
        inbox.put(PATH, LogLine(PATH, f"line {number}"))
    inbox.put(PATH, PhaseStarted(PATH, "check"))
    inbox.put(PATH, END)
    found = everything(inbox)
    lines = [event for event in found if isinstance(event, LogLine)]
    (gap,) = [event for event in found if isinstance(event, Message)]
    assert 100 < len(lines) < 1000
    assert f"{5000 - len(lines)} lines of output left out" in gap.text
    assert found[-1] is END
    assert PhaseStarted(PATH, "check") in found


def test_who_reads_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 60)
    inbox, found = Inbox(), []

    def read() -> None:
        while (event := inbox.get()[1]) is not END:
            found.append(event)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(5000):
        inbox.put(PATH, LogLine(PATH, f"line {number}"))
    inbox.put(PATH, END)
    reader.join()
    assert [event.line for event in found if isinstance(event, LogLine)] == [f"line {n}" for n in range(5000)]


def test_a_reader_that_takes_one_at_a_time_does_not_hold_up_the_build() -> None:
    inbox, done = Inbox(), threading.Event()

    def read() -> None:
        while not done.wait(0.001):
            with contextlib.suppress(Empty):
                inbox.get(timeout=0)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20_000):  # at the reader's pace this would take a while
        inbox.put(PATH, LogLine(PATH, f"line {number}"))
    done.set()
    reader.join()
    assert any(isinstance(event, Message) for event in everything(inbox))


def test_after_a_gap_it_goes_on() -> None:
    inbox = Inbox()
    for _ in range(2):
        for number in range(1000):
            inbox.put(PATH, LogLine(PATH, f"line {number}"))
        gaps = [event for event in everything(inbox) if isinstance(event, Message)]
        assert len(gaps) == 1


@pytest.mark.parametrize("kind", ["phases", "progress"])
def test_phases_and_progress_are_bounded_too(kind: str) -> None:
    inbox = Inbox()
    event = PhaseStarted(PATH, "x" * 60) if kind == "phases" else Progress(PATH, 1, 2, "http://x/")
    for _ in range(5000):
        inbox.put(PATH, event)
    inbox.put(PATH, END)
    found = everything(inbox)
    assert 100 < len(found) < 2000
    assert any(isinstance(one, Message) and "left out" in one.text for one in found)
    assert found[-1] is END
    inbox.put(PATH, event)  # it was read, so there is room
    assert everything(inbox) == [event]


def test_nothing_there() -> None:
    with pytest.raises(Empty):
        Inbox().get(timeout=0.01)


def test_an_event_that_another_follows_wakes_nobody_and_is_not_lost() -> None:
    inbox = Inbox()
    woken: list[int] = []
    with inbox._changed:  # as one who waits
        inbox._changed.notify_all = lambda: woken.append(1)  # type: ignore[method-assign]
    exited = BuilderExited(PATH, 0, None, 1.0)
    inbox.put(PATH, exited)
    assert not woken
    inbox.put(PATH, END)
    assert len(woken) == 1
    assert everything(inbox) == [exited, END]


def test_a_start_is_told_when_nothing_follows_it_soon() -> None:
    inbox = Inbox()
    woken: list[int] = []
    with inbox._changed:  # as one who waits
        inbox._changed.notify_all = lambda: woken.append(1)  # type: ignore[method-assign]
    inbox.hurry()
    inbox.put(PATH, STARTED)
    assert not woken
    inbox.hurry()
    assert len(woken) == 1
    assert everything(inbox) == [STARTED]


def test_the_end_of_a_builder_that_nothing_follows_is_told_when_the_wait_is_over() -> None:
    inbox, found = Inbox(), list[Event | BuildResult]()
    reader = threading.Thread(target=lambda: found.append(inbox.get(timeout=0.2)[1]))
    reader.start()
    exited = BuilderExited(PATH, 0, None, 1.0)
    inbox.put(PATH, exited)
    reader.join(PATIENCE)
    assert found == [exited]


def test_the_first_line_is_told_at_once_and_those_that_follow_closely_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GATHER", 2 * PATIENCE)
    inbox, found = Inbox(), list[Event | BuildResult]()
    lines = [LogLine(PATH, str(number)) for number in range(4)]
    inbox.put(PATH, lines[0])
    assert inbox.get(timeout=0)[1] == lines[0]
    reader = threading.Thread(target=lambda: found.extend(inbox.get(timeout=PATIENCE)[1] for _ in range(4)))
    reader.start()
    for line in lines[1:]:
        inbox.put(PATH, line)
    reader.join(0.05)
    assert found == []
    inbox.put(PATH, END)  # for which nobody waits any longer
    reader.join(PATIENCE)
    assert found == [*lines[1:], END]


def test_many_lines_are_not_waited_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER", 2 * PATIENCE)
    inbox, found = Inbox(), list[Event | BuildResult]()
    inbox.put(PATH, LogLine(PATH, "first"))
    inbox.get(timeout=0)
    reader = threading.Thread(target=lambda: found.append(inbox.get(timeout=PATIENCE)[1]))
    reader.start()
    line = LogLine(PATH, "x" * 10_000)
    for _ in range(6):
        inbox.put(PATH, line)
    reader.join(PATIENCE)
    assert found == [line]
