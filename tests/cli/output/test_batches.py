"""Many downloads of one build are shown as one."""

from __future__ import annotations

import io
import json

from cli.requests import BEGIN, drv, row
from fruix.cli.output.batches import FEWEST, batches_of, piece_sizes
from fruix.cli.output.display import _ROOTS, JsonDisplay, PlainDisplay
from fruix.cli.output.progress import Status
from fruix.cli.output.status_area import Form, status_area
from fruix.model.buildresult import BuildStatus
from fruix.model.events import BuildFailed, BuildFinished, BuildQueued, BuildStarted, Event, Progress
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath
from fruix.packages.roots import root
from fruix.packages.sources import Origin, Source

NAMES = [f"piece-{number}" for number in range(FEWEST)]
PIECES = list(map(drv, NAMES))
PLAN = BuildPlan(
    (
        *(row(name, kind="download") for name in NAMES),
        row("single", kind="download"),
        row("debian-12", *NAMES),
        row("debian-12-runtime", *NAMES[:2]),
        row("hello", "debian-12", "debian-12-runtime", "single"),
    )
)
SIZES = dict.fromkeys(PIECES, 3 << 20)
QUEUED: list[Event] = [BuildQueued(path, "download", BEGIN) for path in (*PIECES, drv("single"))]
AREA = Form(100, 60, utf8=True, colour=False)


def started(path: int) -> Event:
    return BuildStarted(PIECES[path], NAMES[path], "", 1, BEGIN + 1)


def shown(*events: Event, sizes: dict[object, int] | None = None, verbosity: int = 0) -> list[str]:
    stream = io.StringIO()
    display = PlainDisplay(stream, PLAN, verbosity=verbosity, sizes=SIZES if sizes is None else {})
    for event in events:
        display.event(event)
    return stream.getvalue().splitlines()


def test_a_batch_has_a_line_at_its_beginning_and_one_at_its_end() -> None:
    events = [each for path in range(FEWEST) for each in (started(path), BuildFinished(PIECES[path], 1, {}))]
    begun, *rest = shown(*events[:-1])
    assert rest == []
    assert begun == f"fetching 8 files for debian-12, 24.0 MiB: {_ROOTS}"
    begun, ended = shown(*events)
    assert ended.startswith("fetched 8 files for debian-12: 24.0 MiB in ")


def test_sizes_that_nobody_knows_are_not_told() -> None:
    assert shown(started(0), sizes={}) == ["fetching 8 files for debian-12"]


def test_with_v_each_file_has_its_lines() -> None:
    assert shown(started(0), BuildFinished(PIECES[0], 1, {}), verbosity=1) == [
        "building piece-0",
        "built piece-0 in 1.0s",
    ]


def test_others_are_shown_as_ever() -> None:
    lines = shown(
        BuildStarted(drv("single"), "single", "", 1, BEGIN),
        started(0),
        BuildFailed(PIECES[0], BuildStatus.PERMANENT_FAILURE, "gone", 1),
    )
    assert [line.partition(" ")[0] for line in lines] == ["building", "fetching", "failed:"]
    assert lines[2] == "failed: piece-0 after 1.0s"


def test_programs_are_told_of_each() -> None:
    output = io.StringIO()
    JsonDisplay(io.StringIO(), PLAN, output).event(started(0))
    assert json.loads(output.getvalue())["event"] == "build-started"


def area(*events: Event, form: Form = AREA) -> list[str]:
    status = Status.of(PLAN)
    for event in events:
        status.apply(event, BEGIN)
    return status_area(status, BEGIN + 5, form, batches_of(status, SIZES))


def test_a_batch_is_one_line_of_the_status_area() -> None:
    some = [
        started(0),
        started(1),
        Progress(PIECES[1], 1 << 20, 3 << 20, "u"),
        BuildFinished(PIECES[0], 2, {}),
    ]
    assert area(*QUEUED, *some) == [
        "· hello",
        "└─ ○ single  queued",
        "↓ 1 of 8 files for debian-12  4.0 MiB of 24.0 MiB, 1.0 MiB/s",
        "1 of 12 done, 1 downloading, 10 waiting",
    ]


def test_it_goes_with_its_last_file() -> None:
    done = [event for path in PIECES for event in (BuildFinished(path, 1, {}),)]
    assert area(*QUEUED, *done)[:2] == ["· hello", "└─ ○ single  queued"]


def test_a_low_terminal_shows_it_first() -> None:
    assert area(*QUEUED, form=Form(100, 6, utf8=True, colour=False)) == [
        "↓ 0 of 8 files for debian-12  0 B of 24.0 MiB",
        "0 of 12 done, 12 waiting",
    ]
    assert area(*QUEUED, form=Form(100, 3, utf8=True, colour=False)) == ["0 of 12 done, 12 waiting"]


def test_sizes_of_the_pieces_of_roots_are_known() -> None:
    pieces = root("debian-12", "x86_64-linux").pieces[:FEWEST]
    sources: dict[StorePath, Source] = {
        path: Origin(urls=piece.urls, sha256=piece.sha256) for path, piece in zip(PIECES, pieces, strict=True)
    }
    sources[drv("single")] = Origin(urls=("https://x.org/x",), sha256="0" * 64)
    found = piece_sizes(PLAN, sources)
    assert found == {path: piece.size for path, piece in zip(PIECES, pieces, strict=True)}
    assert piece_sizes(BuildPlan(PLAN.builds[: FEWEST - 1]), sources) == {}
