"""Trace files: the form that viewers need, and what is in them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from cli.requests import BEGIN, EVENTS, FAILING, drv, folded
from fruix.cli.output.chrome_trace import critical_chain, trace
from fruix.cli.output.progress import Status
from fruix.model.events import (
    BuilderExited,
    BuildFinished,
    BuildQueued,
    BuildStarted,
    Event,
    PhaseStarted,
)

REST: list[tuple[float, Event]] = [
    (80, BuilderExited(drv("zlib-1.3"), 0, None, BEGIN + 80)),
    (81, BuildFinished(drv("zlib-1.3"), 76, {})),
    (81, BuildQueued(drv("png-1.6"), "build", BEGIN + 81)),
    (82, BuildStarted(drv("png-1.6"), "png-1.6", "", 5, BEGIN + 82)),
    (300, BuildFinished(drv("gcc-15"), 299, {})),
    (400, BuildFinished(drv("png-1.6"), 318, {})),
    (401, BuildStarted(drv("hello-2"), "hello-2", "", 6, BEGIN + 401)),
    (410, BuildFinished(drv("hello-2"), 9, {})),
]


def written(status: Status, end: float) -> list[dict[str, Any]]:
    data = json.loads(json.dumps(trace(status, BEGIN + end)))
    assert data["displayTimeUnit"] == "ms"
    events: list[dict[str, Any]] = data["traceEvents"]
    check_form(events)
    return events


def check_form(events: list[dict[str, Any]]) -> None:
    """What the format demands of the kinds of events that we use."""
    tracks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    arrows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ph"] in {"M", "X", "s", "f"}
        if event["ph"] == "X":
            assert isinstance(event["ts"], int)
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] in {"s", "f"}:
            arrows[event["id"]].append(event)
    for slices in tracks.values():
        # On one track slices follow each other or lie inside of each other.
        open_ends: list[int] = []
        for start, end in sorted(slices, key=lambda found: (found[0], -found[1])):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1]
            open_ends.append(end)
    for pair in arrows.values():
        assert [arrow["ph"] for arrow in pair] == ["s", "f"]
        assert pair[0]["ts"] <= pair[1]["ts"]
        for arrow in pair:
            assert any(
                start <= arrow["ts"] <= end for start, end in tracks[arrow["pid"], arrow["tid"]]
            )  # an arrow needs a slice to hold on to


def test_builds_phases_queue_and_the_critical_path() -> None:
    events = written(folded([*EVENTS, *REST]), 410)
    slices = {(event["cat"], event["name"]): event for event in events if event["ph"] == "X"}
    gcc = slices["build", "gcc-15"]
    assert (gcc["ts"], gcc["dur"], gcc["pid"]) == (1_000_000, 299_000_000, 1)
    assert gcc["args"]["usual_seconds"] == 300
    assert slices["build", "zlib-1.3.tar.gz"]["pid"] == 2
    assert slices["queue", "zlib-1.3"]["dur"] == 1_000_000
    assert slices["phase", "configure"]["dur"] == 63_000_000
    assert slices["phase", "outputs"]["ts"] == 80_000_000
    critical = [event["name"] for event in slices.values() if event.get("args", {}).get("critical")]
    assert critical == ["zlib-1.3.tar.gz", "zlib-1.3", "png-1.6", "hello-2"]
    assert "cname" in slices["build", "hello-2"]
    assert "cname" not in gcc
    assert sum(event["ph"] == "s" for event in events) == 3


def test_a_request_that_failed_or_was_cut_off() -> None:
    events = written(folded([*EVENTS, *FAILING]), 75)
    results = {event["name"]: event["args"]["result"] for event in events if event.get("cat") == "build"}
    assert results == {"zlib-1.3.tar.gz": "done", "zlib-1.3": "failed", "gcc-15": "unfinished"}
    gcc = next(event for event in events if event["name"] == "gcc-15" and event["cat"] == "build")
    assert gcc["ts"] + gcc["dur"] == 75_000_000


def test_nothing_to_do() -> None:
    assert all(event["ph"] == "M" for event in written(Status(), 5))
    assert critical_chain(Status()) == ()


def test_a_phase_whose_line_was_read_after_the_builders_end() -> None:
    """What is left in the pipe is read when the builder has ended."""
    events: list[tuple[float, Event]] = [
        (1, BuildStarted(drv("short-1"), "short-1", "", 5, BEGIN + 1)),
        (2, BuilderExited(drv("short-1"), 0, None, BEGIN + 2)),
        (2.5, PhaseStarted(drv("short-1"), "only", BEGIN + 2.5)),
        (3, BuildFinished(drv("short-1"), 2, {})),
    ]
    names = [event["name"] for event in written(folded(events), 3) if event["ph"] == "X"]
    assert sorted(names) == ["only", "outputs", "short-1"]
