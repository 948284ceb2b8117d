"""A request as a trace file in Chrome's format, for Perfetto (ui.perfetto.dev).

Three groups of tracks: builds, downloads, the queue. A build is a slice with its phases and the
handling of its outputs inside; what it waited for a slot is a slice in the queue. The chain of
builds that decided when the request ended is marked: `critical` among the arguments, a colour, and
arrows from one to the next.

Format: "Trace Event Format" (Chromium project), JSON object form; moments and durations in
microseconds, from the first moment on.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fruix.cli.output.progress import Node, Stage, Status
from fruix.model.storepath import StorePath

GROUPS = {"build": 1, "download": 2, "queue": 3}
CRITICAL_COLOUR = "terrible"  # one of the format's reserved names: red


class _Tracks:
    """Places for slices: those that overlap get tracks of their own.

    The format takes a slice inside another on the same track for a part of it.
    """

    def __init__(self) -> None:
        self._ends: dict[str, list[float]] = {}

    def take(self, group: str, start: float, end: float) -> int:
        ends = self._ends.setdefault(group, [])
        for index, busy_until in enumerate(ends):
            if busy_until <= start:
                ends[index] = end
                return index + 1
        ends.append(end)
        return len(ends)


def trace(status: Status, end: float) -> dict[str, Any]:
    """The file's contents; `end` is the moment at which what still runs is cut off."""
    nodes = sorted(
        (node for node in status.nodes.values() if node.started or node.queued),
        key=lambda node: node.queued or node.started,
    )
    origin = min((node.queued or node.started for node in nodes), default=end)
    critical = critical_chain(status)
    tracks = _Tracks()
    events = [
        {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": f"fruix: {group}"}}
        for group, pid in GROUPS.items()
    ]
    places: dict[StorePath, dict[str, Any]] = {}
    for node in nodes:
        for slice_ in _slices(node, end, origin, tracks, critical=node.drv in critical):
            events.append(slice_)
            if slice_["cat"] == "build":
                places[node.drv] = slice_
    return {
        "displayTimeUnit": "ms",
        "otherData": {"producer": "fruix", "origin": origin},
        "traceEvents": [*events, *_arrows(critical, places)],
    }


def critical_chain(status: Status) -> tuple[StorePath, ...]:
    """The chain of builds that decided when the request ended, first to last.

    Found backwards from the build that ended last, each time by the input that ended last.
    """
    ended = {node.drv: node for node in status.nodes.values() if node.ended and node.started}
    chain: list[StorePath] = []
    node = max(ended.values(), key=lambda node: node.ended, default=None)
    while node is not None:
        chain.append(node.drv)
        before = [ended[path] for path in node.needs if path in ended and path not in chain]
        node = max(before, key=lambda node: node.ended, default=None)
    return tuple(reversed(chain))


def _slices(
    node: Node, end: float, origin: float, tracks: _Tracks, *, critical: bool
) -> Iterator[dict[str, Any]]:
    """The queue's slice, the build's, and those inside of it."""
    ended = node.ended or end
    if node.queued and (node.started or end) > node.queued:
        until = node.started or end
        place = GROUPS["queue"], tracks.take("queue", node.queued, until)
        yield _slice(node.name, "queue", place, node.queued - origin, until - origin)
    if not node.started:
        return
    kind = node.kind if node.kind in GROUPS else "build"
    place = GROUPS[kind], tracks.take(kind, node.started, ended)
    whole = _slice(node.name, "build", place, node.started - origin, ended - origin)
    whole["args"] = {
        "derivation": str(node.drv),
        "result": node.stage.value if node.stage is not Stage.RUNNING else "unfinished",
        "usual_seconds": node.usual,
        "log": node.log_file,
        "critical": critical,
    }
    yield {**whole, "cname": CRITICAL_COLOUR} if critical else whole
    # What the builder said last may have been read when it had ended already.
    phases = [(name, min(start, node.exited or start)) for name, start in node.phases]
    inside = [*phases, *([("outputs", node.exited)] if node.exited else [])]
    for (name, start), until in zip(inside, [*(start for _, start in inside[1:]), ended], strict=False):
        start, until = max(start, node.started), min(until, ended)  # noqa: PLW2901 - clocks may differ by a little
        if until >= start:
            yield _slice(name, "phase", place, start - origin, until - origin)


def _slice(name: str, category: str, place: tuple[int, int], start: float, end: float) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": place[0],
        "tid": place[1],
        "ts": round(start * 1e6),
        "dur": max(0, round(end * 1e6) - round(start * 1e6)),
    }


def _arrows(
    chain: tuple[StorePath, ...], places: Mapping[StorePath, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    steps = [places[drv] for drv in chain if drv in places]
    for number, (before, after) in enumerate(itertools.pairwise(steps), 1):
        common = {"name": "critical path", "cat": "critical", "id": number}
        yield {
            **common, "ph": "s", "pid": before["pid"], "tid": before["tid"],
            "ts": before["ts"] + max(0, before["dur"] - 1),
        }  # fmt: skip
        yield {**common, "ph": "f", "bp": "e", "pid": after["pid"], "tid": after["tid"], "ts": after["ts"]}


@contextmanager
def trace_file(file: str | None, status: Status) -> Iterator[None]:
    """Write the trace when the block ends, however that is; without a file, nothing.

    The file is opened at once: that it can't be written is said before anything is built.
    """
    if file is None:
        yield
        return
    with open(file, "w", encoding="utf-8") as out:
        try:
            yield
        finally:
            json.dump(trace(status, time.time()), out)
