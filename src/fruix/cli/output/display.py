"""How a build is shown.

As plain lines (`PlainDisplay`), with a live status area on a terminal (`live_display`), or as JSON
lines (`JsonDisplay`). All of them fold events into a `Status`. What people read goes to standard
error. Levels of detail: 1 (`-v`) shows the builders' output, 2 (`-vv`) what waits and how builders
end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from fruix.cli.output.amounts import duration
from fruix.cli.output.batches import batches_of
from fruix.cli.output.lines import folded, last_state
from fruix.cli.output.progress import OVERTAKEN_KINDS, Status
from fruix.cli.output.status_area import Form, status_area
from fruix.cli.output.terminal import harmless, speaks_utf8, styled, wants_colour, width
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.estimate import estimate
from fruix.model.events import (
    BuilderExited,
    BuildFailed,
    BuildFinished,
    BuildQueued,
    BuildStarted,
    Event,
    LogLine,
    Message,
    Note,
    PhaseStarted,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
    Waiting,
    to_json,
)
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath
from fruix.overriding import override

if TYPE_CHECKING:
    from fruix.cli.output.host_changes import HostChanged

_ROOTS = "the tools that packages are built with; what has come is kept"
# Of the JSON lines (docs/events.md). Grows when a field changes its meaning or goes; new fields and
# events don't count.
EVENTS_VERSION = 1


class PlainDisplay:
    """A display with a line for each thing that happens."""

    def __init__(
        self,
        stream: TextIO,
        plan: BuildPlan,
        *,
        verbosity: int = 0,
        sizes: Mapping[StorePath, int] = MappingProxyType({}),
    ) -> None:
        """`sizes`: of pieces of roots, by the derivations that fetch them."""
        self.stream = stream
        self.verbosity = verbosity
        self.colour = wants_colour(stream)
        self.status = Status.of(plan)
        self._batches = batches_of(self.status, sizes, _ROOTS) if verbosity == 0 else {}
        # Of the status alone. Nothing is written under it: rich holds a lock of its own while it
        # draws, which asks for the status.
        self._lock = threading.RLock()

    def event(self, event: Event) -> None:
        """Fold an event into the status, and show it. May be called from any thread."""
        with self._lock:
            self.status.apply(event, time.time())
        self.show(event)

    def show(self, event: Event) -> None:
        """Write the lines for an event, which the status has taken in."""
        batch = self._batches.get(event.drv) if isinstance(event, BuildStarted | BuildFinished) else None
        if batch is None:
            self._show_build(event)
            return
        with self._lock:
            text = batch.news(time.time())
        if text:
            self.line(text, "bold")

    def _show_build(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self.line(_beginning(event, reasons=self.verbosity >= 1), "bold")
            case PhaseStarted():
                self.line(f"{event.drv.short_name}: phase {event.phase}", "cyan")
            case LogLine() if self.verbosity >= 1:
                line = harmless(last_state(event.line), colour=self.colour)
                self.write(f"{event.drv.short_name}> {line}")
            case BuildFinished():
                how = "checked, the same again:" if event.checked else "built"
                self.line(f"{how} {event.drv.short_name} in {duration(event.seconds)}", "green")
            case BuildFailed() if event.status is not BuildStatus.DEPENDENCY_FAILED:
                how, style = _failed(event)
                self.line(f"{how}: {event.drv.short_name} after {duration(event.seconds)}", style)
            case Waiting():
                self.line(f"{event.drv.short_name}: {event.reason}", "dim")
            case Message() | Note():
                self.write(harmless(event.text, colour=self.colour))
            case BuildQueued() if self.verbosity >= 2:
                self.line(f"queued {event.drv.short_name} ({event.kind})", "dim")
            case BuilderExited() if self.verbosity >= 2:
                how = f"signal {event.signal}" if event.signal is not None else f"exit code {event.code}"
                self.line(f"{event.drv.short_name}: builder ended with {how}", "dim")
            case _:
                self._show_substitution(event)

    def _show_substitution(self, event: Event) -> None:
        match event:
            case SubstitutionStarted():
                self.line(f"fetching {event.path.name} from {event.url}", "bold")
            case SubstitutionFinished():
                self.line(f"fetched {event.path.name} in {duration(event.seconds)}", "green")
            case SubstitutionFailed():
                self.line(f"not fetched: {event.message}", "red")
            case _:
                pass

    def line(self, text: str, style: str) -> None:
        """Write a line of the command's own, as opposed to a builder's."""
        self.write(styled(harmless(text, colour=False), style, colour=self.colour))

    def fitted(self, line: str, *, before: str) -> str:
        """`before` and a builder's line, harmless and on a terminal not wider than that."""
        room = width(self.stream)
        left = None if room is None else max(1, room - 1 - len(before))
        mark = "…" if speaks_utf8(self.stream) else "..."
        return before + folded(harmless(line, colour=self.colour), left, mark)

    def write(self, text: str) -> None:
        """Write text that is harmless already, and a line end."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def dump(self) -> None:
        """Write the state of everything: somebody sent SIGUSR1 or SIGINFO."""
        for text in self._area(width(self.stream) or 120, 3 * (len(self.status.nodes) + 2)):
            self.write(text)

    def close(self) -> None:
        """Take away what a display has drawn; nothing more is shown after that."""

    def _area(self, columns: int, rows: int) -> list[str]:
        with self._lock:
            form = Form(columns, rows, speaks_utf8(self.stream), self.colour)
            return status_area(self.status, time.time(), form, self._batches)


def _failed(event: BuildFailed) -> tuple[str, str]:
    """The word for a failure, and the style of its line.

    What the host's tools have overtaken begins anew: no failure yet.
    """
    if event.reason.get("kind") in OVERTAKEN_KINDS:
        return "overtaken", "yellow"
    return "not reproducible" if event.status is BuildStatus.NOT_DETERMINISTIC else "failed", "red"


_PURPOSES = {"build": "building", "check": "checking", "repair": "repairing"}


def _beginning(event: BuildStarted, *, reasons: bool) -> str:
    rounds = f" (round {event.round} of {event.rounds})" if event.rounds > 1 else ""
    machine = f" on {event.machine}" if event.machine else ""
    why = f"\n{event.drv.short_name}: {event.why}" if reasons and event.why else ""
    return f"{_PURPOSES.get(event.purpose, event.purpose)} {event.drv.short_name}{machine}{rounds}{why}"


class JsonDisplay(PlainDisplay):
    """One JSON object per line on standard output; to people only what they ask for by signal."""

    def __init__(self, stream: TextIO, plan: BuildPlan, output: TextIO) -> None:
        super().__init__(stream, plan)
        self._output = output

    @override
    def show(self, event: Event) -> None:
        self.put(to_json(event))

    def put(self, data: dict[str, Any]) -> None:
        """Write one object, which says under `event` what it is."""
        self._output.write(json.dumps({"version": EVENTS_VERSION, **data}) + "\n")
        self._output.flush()


def begun_anew_event(number: int, why: str) -> dict[str, Any]:
    """The object between two plans, when the host's tools have changed."""
    return {"event": "begun-anew", "number": number, "because": why}


def plan_event(plan: BuildPlan, changed: HostChanged | None = None) -> dict[str, Any]:
    """The first object: what the request needs, and what of the host makes it need that."""
    guess = estimate(plan.builds, plan.jobs)
    return {
        "event": "plan",
        "builds": [row.to_json() for row in plan.builds],
        "jobs": plan.jobs,
        "problems": list(plan.problems),
        "estimated_seconds": guess.seconds,
        "unknown_durations": guess.unknown,
        "longest_path": [str(drv) for drv in guess.path],
        "host_changed": changed.to_json() if changed else None,
    }


def result_event(results: Sequence[tuple[DerivedPath, BuildResult]]) -> dict[str, Any]:
    """The last object: how each thing asked for ended."""
    return {
        "event": "result",
        "success": all(result.success for _, result in results),
        "results": [
            {
                "path": str(request.path),
                "status": result.status.name,
                "message": result.message,
                "outputs": {name: str(path) for name, path in sorted(result.outputs.items())},
            }
            for request, result in results
        ],
    }
