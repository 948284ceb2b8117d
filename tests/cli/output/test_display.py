from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from string import Formatter

import pytest

from cli.requests import BEGIN, EVENTS, FAILING, PLAN, drv
from fruix.cli.output.display import (
    EVENTS_VERSION,
    JsonDisplay,
    PlainDisplay,
    begun_anew_event,
    plan_event,
    result_event,
)
from fruix.cli.output.live_display import LiveDisplay, open_display
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import KINDS, from_json
from fruix.model.planned import BuildPlan
from fruix.model.reason_rows import ROWS
from fruix.overriding import override


def shown(verbosity: int) -> list[str]:
    stream = io.StringIO()
    display = PlainDisplay(stream, PLAN, verbosity=verbosity)
    for _, event in [*EVENTS, *FAILING]:
        display.event(event)
    return stream.getvalue().splitlines()


def test_plain_lines_by_level() -> None:
    assert shown(0) == [
        "building zlib-1.3.tar.gz",
        "building gcc-15",
        "gcc-15: phase configure",
        "built zlib-1.3.tar.gz in 3.0s",
        "building zlib-1.3",
        "zlib-1.3: phase build",
        "gcc-15: phase build",
        "failed: zlib-1.3 after 1m06s",
    ]
    assert [line for line in shown(1) if line not in shown(0)] == ["zlib-1.3> cc -c zlib.c"]
    more = [line for line in shown(2) if line not in shown(1)]
    assert more[0] == "queued zlib-1.3.tar.gz (download)"
    assert more[-1] == "zlib-1.3: builder ended with exit code 2"


def test_json_lines_are_the_events() -> None:
    output, people = io.StringIO(), io.StringIO()
    display = JsonDisplay(people, PLAN, output)
    display.put(plan_event(PLAN))
    for _, event in [*EVENTS, *FAILING]:
        display.event(event)
    request = DerivedPath(drv("hello-2"), ALL)
    display.put(result_event([(request, BuildResult(BuildStatus.DEPENDENCY_FAILED, "no"))]))
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert all(line["version"] == EVENTS_VERSION for line in lines)
    assert [from_json(line) for line in lines[1:-1]] == [event for _, event in [*EVENTS, *FAILING]]
    assert lines[0]["longest_path"] == [str(drv("gcc-15")), str(drv("hello-2"))]
    assert lines[-1]["results"][0]["status"] == "DEPENDENCY_FAILED"
    assert people.getvalue() == ""


# What programs rely on (docs/events.md). Adding to it is fine; whoever takes away or renames must
# raise EVENTS_VERSION.
SCHEMA = {
    "plan": {"builds", "jobs", "problems", "estimated_seconds", "unknown_durations", "longest_path"},
    "build-queued": {"drv", "kind", "time"},
    "build-started": {
        "drv",
        "name",
        "log_file",
        "pid",
        "time",
        "purpose",
        "round",
        "rounds",
        "outputs",
        "system",
        "machine",
        "why",
    },
    "phase-started": {"drv", "phase", "time"},
    "builder-exited": {"drv", "code", "signal", "time"},
    "log-line": {"drv", "line"},
    "progress": {"drv", "done", "total", "what"},
    "build-finished": {"drv", "seconds", "outputs", "checked"},
    "build-failed": {"drv", "status", "message", "seconds", "reason"},
    "note": {"drv", "text", "reason"},
    "waiting": {"drv", "reason"},
    "message": {"level", "text"},
    "begun-anew": {"number", "because"},
    "result": {"success", "results"},
}


def fields_now() -> dict[str, set[str]]:
    fields = {name: set(kind.__dataclass_fields__) for name, kind in KINDS.items()}
    fields["plan"] = set(plan_event(PLAN)) - {"event"}
    fields["begun-anew"] = set(begun_anew_event(1, "")) - {"event"}
    fields["result"] = set(result_event([])) - {"event"}
    return fields


def test_the_schema_only_grows() -> None:
    assert EVENTS_VERSION == 1
    fields = fields_now()
    for name, promised in SCHEMA.items():
        assert promised <= fields[name], name
    planned = plan_event(PLAN)["builds"][0]
    assert {"drv", "kind", "missing", "needs", "usual_ms"} <= set(planned)


def test_the_schema_is_described() -> None:
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
    events, _, reasons = text.partition("| kind |")
    assert table(events) == fields_now()
    described = table(reasons)
    assert described.keys() == ROWS.keys()
    for kind, row in ROWS.items():
        needed = {name for form in (row.text, row.guix) for _, name, _, _ in Formatter().parse(form) if name}
        assert needed - {"drv"} <= described[kind], kind


def table(text: str) -> dict[str, set[str]]:
    """The fields by what is named in the first column, which may be several."""
    rows = re.findall(r"^\| (`.*?) \|(.*?)\|", text, re.MULTILINE)
    return {
        name: set(re.findall(r"`([a-z_]+)`", fields))
        for names, fields in rows
        for name in re.findall(r"`([a-z-]+)`", names)
    }


def test_a_dump_shows_everything(monkeypatch: object) -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream, PLAN)
    for _, event in EVENTS[:5]:
        display.event(event)
    stream.truncate(0)
    display.dump()
    for name in ("zlib-1.3.tar.gz", "gcc-15", "hello-2", "manual-1", "6 done"):
        assert name in stream.getvalue()
    assert BEGIN  # moments of the events are long past: durations are large, never negative
    assert "-" not in stream.getvalue().partition("gcc-15")[2].splitlines()[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("rich", "term", "plan", "live"),
    [
        (True, "xterm", PLAN, True),
        (False, "xterm", PLAN, False),
        (True, "dumb", PLAN, False),
        (True, "xterm", BuildPlan(), False),
    ],
)
def test_which_display(
    rich: bool, term: str, plan: BuildPlan, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", term)
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)  # as if it were not installed
    display = open_display(plan, verbosity=0)
    try:
        assert isinstance(display, LiveDisplay) is live
        display.event(EVENTS[3][1])
        assert ("building zlib-1.3.tar.gz" in stderr.getvalue()) is not live
    finally:
        display.close()


def test_a_terminal_s_display_is_loaded_while_the_daemon_works() -> None:
    # By then the request has been sent: nothing is told before.
    program = """
import sys
from cli.requests import EVENTS, PLAN
from fruix.cli.output.live_display import LiveDisplay
display = LiveDisplay(sys.stderr, PLAN)
before = "rich" in sys.modules
display.event(EVENTS[0][1])
print(before, "rich" in sys.modules)
display.close()
"""
    words = [sys.executable, "-c", program]
    tests = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tests)
    assert done.stdout == "False True\n"


def test_its_end_draws_nothing_and_loads_nothing(tmp_path: Path) -> None:
    """^C waits for it."""
    program = """
import os, pty, sys
from cli.requests import EVENTS, PLAN
from fruix.cli.output.live_display import LiveDisplay

inner = open(pty.openpty()[1], "w", encoding="utf-8")
display = LiveDisplay(inner, PLAN)
for _, event in EVENTS[:5]:
    display.event(event)
display._live.refresh()
before = {*sys.modules}
display._area = None
display.close()
print(*{*sys.modules} - before)
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_the_status_is_free_while_lines_are_written() -> None:
    # Another thread draws a terminal's status area: holding rich's lock, it asks for the status.
    free: list[bool] = []

    class Probe(PlainDisplay):
        def look(self) -> None:
            free.append(self._lock.acquire(blocking=False))
            if free[-1]:
                self._lock.release()

        @override
        def write(self, text: str) -> None:
            thread = threading.Thread(target=self.look)
            thread.start()
            thread.join()

    display = Probe(io.StringIO(), PLAN, verbosity=1)
    for _, event in EVENTS:
        display.event(event)
    display.dump()
    assert free
    assert all(free)
