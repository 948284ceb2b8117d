"""What is going on, folded from the event stream: no input, no output, only data that renderers show.

`Status.apply(event, now)` is the fold; `now` is given, so that tests need no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from fruix.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    LogLine,
    PhaseStarted,
    Progress,
)
from fruix.model.storepath import StorePath

KEPT_LINES = 25


def short_name(path: StorePath) -> str:
    """`hello-2.12.3` for `/frx/store/…-hello-2.12.3.drv`."""
    return path.name.removesuffix(".drv")


@dataclass(slots=True)
class Running:
    """One build that runs."""

    name: str
    started: float
    log_file: str = ""
    phase: str = ""
    phase_started: float = 0.0
    done: int = 0
    total: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))


@dataclass(frozen=True, slots=True)
class Failure:
    """One build that failed, with what a person needs to know about it."""

    path: StorePath
    phase: str
    message: str
    lines: tuple[str, ...]
    log_file: str
    seconds: float


@dataclass(slots=True)
class Status:
    """The whole of a request: what runs, what is done, what failed."""

    planned: int = 0
    running: dict[StorePath, Running] = field(default_factory=dict)
    finished: dict[StorePath, float] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def apply(self, event: Event, now: float) -> None:
        """Take one event in."""
        match event:
            case BuildStarted():
                self.running[event.drv] = Running(short_name(event.drv), event.time or now, event.log_file)
            case PhaseStarted() if build := self.running.get(event.drv):
                build.phase, build.phase_started = event.phase, event.time or now
            case LogLine() if build := self.running.get(event.drv):
                build.lines.append(event.line)
            case Progress() if build := self.running.get(event.drv):
                build.done, build.total = event.done, event.total
            case BuildFinished():
                self.running.pop(event.drv, None)
                self.finished[event.drv] = event.seconds
            case BuildFailed():
                build = self.running.pop(event.drv, None) or Running(short_name(event.drv), now)
                self.failures.append(
                    Failure(
                        event.drv,
                        build.phase,
                        event.message,
                        tuple(build.lines),
                        build.log_file,
                        event.seconds,
                    )
                )
            case _:
                pass

    def counts(self) -> str:
        """`2 running, 5 of 8 done`, with failures if there are any."""
        text = f"{len(self.running)} running, {len(self.finished)} of {max(self.planned, len(self.finished))} done"
        return f"{text}, {len(self.failures)} failed" if self.failures else text
