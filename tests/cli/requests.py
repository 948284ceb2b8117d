"""Requests to try displays with: a plan, and events at given moments."""

from __future__ import annotations

from collections.abc import Iterable

from fruix.cli.output.progress import Status
from fruix.model.buildresult import BuildStatus
from fruix.model.events import (
    BuilderExited,
    BuildFailed,
    BuildFinished,
    BuildQueued,
    BuildStarted,
    Event,
    LogLine,
    PhaseStarted,
    Progress,
)
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.model.storepath import StorePath

BEGIN = 1_000_000.0


def drv(name: str) -> StorePath:
    return StorePath.of("/frx/store", f"{'a' * 32}-{name}.drv")


def row(name: str, *needs: str, usual: float | None = None, kind: str = "build") -> PlannedBuild:
    usual_ms = None if usual is None else round(usual * 1000)
    return PlannedBuild(drv(name), kind, ("out",), tuple(map(drv, needs)), usual_ms)


PLAN = BuildPlan(
    (
        row("zlib-1.3.tar.gz", usual=2, kind="download"),
        row("zlib-1.3", "zlib-1.3.tar.gz", usual=60),
        row("gcc-15", usual=300),
        row("png-1.6", "zlib-1.3", usual=30),
        row("hello-2", "gcc-15", "png-1.6", usual=20),
        row("manual-1"),
    ),
    jobs=2,
)

EVENTS: list[tuple[float, Event]] = [
    (0, BuildQueued(drv("zlib-1.3.tar.gz"), "download", BEGIN)),
    (0, BuildQueued(drv("gcc-15"), "build", BEGIN)),
    (0, BuildQueued(drv("manual-1"), "build", BEGIN)),
    (1, BuildStarted(drv("zlib-1.3.tar.gz"), "zlib-1.3.tar.gz", "", 1, BEGIN + 1)),
    (1, BuildStarted(drv("gcc-15"), "gcc-15", "/log/gcc.gz", 2, BEGIN + 1)),
    (2, PhaseStarted(drv("gcc-15"), "configure", BEGIN + 2)),
    (3, Progress(drv("zlib-1.3.tar.gz"), 2 << 20, 4 << 20, "https://example.org/zlib")),
    (4, BuildFinished(drv("zlib-1.3.tar.gz"), 3, {})),
    (4, BuildQueued(drv("zlib-1.3"), "build", BEGIN + 4)),
    (5, BuildStarted(drv("zlib-1.3"), "zlib-1.3", "/log/zlib.gz", 3, BEGIN + 5)),
    (6, PhaseStarted(drv("zlib-1.3"), "build", BEGIN + 6)),
    (7, LogLine(drv("zlib-1.3"), "cc -c \x1b[31mzlib.c")),
    (65, PhaseStarted(drv("gcc-15"), "build", BEGIN + 65)),
]
FAILING: list[tuple[float, Event]] = [
    (70, BuilderExited(drv("zlib-1.3"), 2, None, BEGIN + 70)),
    (71, BuildFailed(drv("zlib-1.3"), BuildStatus.PERMANENT_FAILURE, "builder failed with exit code 2", 66)),
]


def folded(events: Iterable[tuple[float, Event]], plan: BuildPlan = PLAN) -> Status:
    status = Status.of(plan)
    for moment, event in events:
        status.apply(event, BEGIN + moment)
    return status
