"""Each place where text of a builder's or of a file's gets into what is shown makes it harmless itself.

What is written to a terminal goes through a stream that lets nothing else through
(`standard_streams`), but for what draws on it. No place counts on that.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from cli.output.test_failure_report import failure
from cli.requests import PLAN, drv
from fruix.cli.command_line import report as cli_report
from fruix.cli.commands.enter import _inside
from fruix.cli.output import failure_report as report
from fruix.cli.output.builds_table import table
from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.failure_report import failure_report
from fruix.cli.output.plan import listing
from fruix.cli.output.standard_streams import write_bytes
from fruix.cli.output.status_area import Form, status_area
from fruix.cli.output.terminal import harmless
from fruix.errors import FruixError
from fruix.model.activity import ActiveBuild, Client, State
from fruix.model.events import BuildQueued, BuildStarted, Event, LogLine, Message, Note, PhaseStarted, Waiting
from fruix.model.planned import BuildPlan

NASTY = "x\x1b[38;5;123m\x1b]0;title\x07\x9b2J\rfruix: error: forged\x1b[2J\x1b[38;5;123m"


def displayed(*events: Event) -> str:
    stream = io.StringIO()
    display = PlainDisplay(stream, PLAN, verbosity=2)
    for event in events:
        display.event(event)
    return stream.getvalue()


def reported(**more: Any) -> str:
    stream = io.StringIO()
    failure_report([failure(**more)], PlainDisplay(stream, PLAN))
    return stream.getvalue()


def running(**more: object) -> str:
    active = ActiveBuild(drv("a"), "build", State.RUNNING, 0)
    return "\n".join(table([replace(active, **more)], 0.0, partial(harmless, colour=False)))  # type: ignore[arg-type]


def drawn() -> str:
    display = PlainDisplay(io.StringIO(), PLAN)
    first = PLAN.builds[0].drv
    for event in (BuildQueued(first, "build"), BuildStarted(first, "first"), PhaseStarted(first, NASTY)):
        display.event(event)
    return "\n".join(status_area(display.status, 1.0, Form(400, 30, utf8=True, colour=False)))


def compared() -> str:
    shown: list[str] = []
    report._run_diffoscope(["printf", "%s\\n", NASTY], shown.append)
    return "\n".join(shown)


def entered() -> str:
    told = io.StringIO()
    with redirect_stderr(told), suppress(OSError):  # there is no terminal to relay to
        _inside(drv("a"))(-1, NASTY)
    return told.getvalue()


def explained() -> str:
    told = io.StringIO()
    with redirect_stderr(told):
        cli_report(FruixError(f"it said {NASTY}\n{NASTY}", hint=NASTY))
    return told.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(data: str) -> str:
    with redirect_stdout(Terminal()) as terminal:
        write_bytes([data.encode()], raw=False)
    return terminal.getvalue()


ROW = PLAN.builds[1]
PLACES: Mapping[str, Callable[[], str]] = {
    "a line of the log": lambda: displayed(LogLine(drv("a"), NASTY)),
    "a phase": lambda: displayed(PhaseStarted(drv("a"), NASTY)),
    "what is waited for": lambda: displayed(Waiting(drv("a"), NASTY)),
    "a message": lambda: displayed(Message(3, NASTY)),
    "a note": lambda: displayed(Note(drv("a"), NASTY)),
    "the phase in the status area": drawn,
    "the end of a log": lambda: reported(lines=(NASTY,)),
    "what a comparison prints": compared,
    "a problem of a plan": lambda: "\n".join(listing(BuildPlan(problems=(NASTY,)))),
    "an output of a plan": lambda: "\n".join(listing(BuildPlan((replace(ROW, missing=(NASTY,)),)))),
    "what has changed": lambda: "\n".join(listing(BuildPlan((ROW,)), changed={ROW.drv: [NASTY]})),
    "why a build failed": lambda: reported(reason={}, message=NASTY),
    "inside of a sandbox": entered,
    "an error and its hint": explained,
    "a line of a file": lambda: written(NASTY + "\n"),
    "the last line of a file": lambda: written(NASTY),
    "a phase in the table": lambda: running(phase=NASTY),
    "a user in the table": lambda: running(clients=(Client(0, NASTY, 1),)),
}


@pytest.mark.parametrize("place", PLACES)
def test_is_harmless(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = PLACES[place]()
    assert "forged" in text
    assert not any(line.startswith("fruix: error: forged") for line in text.splitlines())
    assert [line for line in text.splitlines() if harmless(line, colour=False) != line] == []
