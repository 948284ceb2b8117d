"""How a build is shown: plain lines (`PlainDisplay`) or a live status area on a terminal (`LiveDisplay`).

Both fold events into a `Status` and print to standard error. The live area takes at most a third of the screen and needs
the `rich` library; without it, or without a terminal, there are plain lines. The report of a failure is the same in both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from fruix.cli.status import Failure, Status, short_name
from fruix.cli.text import duration, harmless, plural, size, styled, wants_colour
from fruix.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    LogLine,
    Message,
    PhaseStarted,
    Waiting,
)

if TYPE_CHECKING:
    from rich.live import Live

REFRESH_PER_SECOND = 8


class PlainDisplay:
    """One line per thing that happens; `verbose` also shows the builders' output."""

    def __init__(self, stream: TextIO, *, verbose: bool, planned: int = 0) -> None:
        self.stream = stream
        self.verbose = verbose
        self.colour = wants_colour(stream)
        self.status = Status(planned=planned)

    def event(self, event: Event) -> None:
        """Show one event."""
        before = self.status.running.get(event.drv) if isinstance(event, PhaseStarted | LogLine) else None
        self.status.apply(event, time.time())
        name = before.name if before else ""
        match event:
            case BuildStarted():
                self.line(f"building {short_name(event.drv)}", "bold")
            case PhaseStarted():
                self.line(f"{name}: phase {event.phase}", "cyan")
            case LogLine() if self.verbose:
                self.write(f"{name}> {harmless(event.line, colour=self.colour)}")
            case BuildFinished():
                self.line(f"built {short_name(event.drv)} in {duration(event.seconds)}", "green")
            case BuildFailed():
                self.line(f"failed: {short_name(event.drv)} after {duration(event.seconds)}", "red")
            case Waiting():
                self.line(f"waiting: {harmless(event.reason, colour=False)}", "dim")
            case Message():
                self.write(harmless(event.text, colour=self.colour))
            case _:
                pass

    def line(self, text: str, style: str) -> None:
        """A line of our own."""
        self.write(styled(harmless(text, colour=False), style, colour=self.colour))

    def write(self, text: str) -> None:
        """Text that is already harmless."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Nothing more will be shown."""


class LiveDisplay(PlainDisplay):
    """Finished things scroll by; below them what runs now, with phase and time."""

    def __init__(self, stream: TextIO, *, verbose: bool, planned: int = 0) -> None:
        super().__init__(stream, verbose=verbose, planned=planned)
        from rich.console import Console  # noqa: PLC0415 - optional, and slow to import
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(file=stream, highlight=False)
        self._live: Live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def event(self, event: Event) -> None:
        """Phases show in the status area, so they need no line of their own."""
        if isinstance(event, PhaseStarted):
            self.status.apply(event, time.time())
        else:
            super().event(event)

    def write(self, text: str) -> None:
        """Above the status area."""
        from rich.text import Text  # noqa: PLC0415

        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def close(self) -> None:
        """Take the status area away."""
        self._live.stop()

    def _render(self) -> Any:
        from rich.text import Text  # noqa: PLC0415

        now = time.time()
        room = max(2, self._console.size.height // 3 - 1)
        builds = sorted(self.status.running.values(), key=lambda build: build.started)
        rows = [_row(build, now) for build in builds[:room]]
        if len(builds) > room:
            rows.append(f"  … and {len(builds) - room} more")
        rows.append(styled(self.status.counts(), "dim", colour=self.colour))
        return Text.from_ansi("\n".join(rows))


def _row(build: Any, now: float) -> str:
    text = f"  {build.name:<32} {duration(now - build.started):>7}"
    if build.total:
        return f"{text}  {size(build.done)} of {size(build.total)}"
    return f"{text}  {build.phase} {duration(now - build.phase_started)}" if build.phase else text


def open_display(*, verbose: bool, planned: int) -> PlainDisplay:
    """The display that suits standard error."""
    if sys.stderr.isatty():
        try:
            return LiveDisplay(sys.stderr, verbose=verbose, planned=planned)
        except ImportError:
            pass
    return PlainDisplay(sys.stderr, verbose=verbose, planned=planned)


def failure_report(failures: Iterable[Failure], display: PlainDisplay) -> None:
    """What a person needs after a failed build: which, in which phase, the last lines, where the log is, what to do."""
    for failure in failures:
        name = short_name(failure.path)
        phase = f" in phase {failure.phase}" if failure.phase else ""
        reason = failure.message.splitlines()
        display.write("")
        display.line(f"{name} failed{phase} after {duration(failure.seconds)}", "red")
        for text in _reason(reason):
            display.write(f"  {harmless(text, colour=display.colour)}")
        if failure.lines:
            display.line(f"last {plural(len(failure.lines), 'line')} of its log:", "dim")
            for text in failure.lines:
                display.write(f"> {harmless(text, colour=display.colour)}")
        if failure.log_file:
            display.write(f"log file: {failure.log_file}")
        display.write(f"whole log: fruix log {failure.path}")


def _reason(message: list[str]) -> list[str]:
    """The message without its own copy of the last log lines, which is shown once, below."""
    kept: list[str] = []
    for text in message:
        if text.startswith(("Last ", "For full logs")):
            break
        kept.append(text)
    return kept
