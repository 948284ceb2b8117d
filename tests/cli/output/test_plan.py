from __future__ import annotations

import pytest

from cli.requests import PLAN, drv, row
from fruix.cli.output.headline import about
from fruix.cli.output.plan import headline, listing
from fruix.model.buildresult import BuildMode
from fruix.model.planned import BuildPlan, PlannedBuild


def test_headline() -> None:
    assert (
        headline(PLAN)
        == "5 to build, 1 to fetch, about 5 min and 1 never done here, longest path gcc-15 → hello-2"
    )
    assert headline(BuildPlan((row("a-1"),))) == "1 to build"
    made = BuildPlan((PlannedBuild(drv("root"), "builtin"), PlannedBuild(drv("piece"), "download")))
    assert headline(made) == "1 to build, 1 to fetch"
    assert headline(BuildPlan()) == "nothing to be done: everything is valid"
    assert headline(BuildPlan(problems=("x",))) == "nothing to be done"
    whole = BuildPlan((PlannedBuild(drv("a-1")),))
    assert headline(whole, BuildMode.REPAIR) == "1 to look at, and to repair if damaged"
    assert headline(whole, BuildMode.CHECK) == "1 to build"
    rows = [row("b0", usual=5), *(row(f"b{n}", f"b{n - 1}", usual=5) for n in range(1, 9))]
    assert headline(BuildPlan(tuple(rows))).endswith("b0 → … → b8")
    assert headline(BuildPlan(tuple(rows))) == "9 to build, about 45 s, longest path b0 → … → b8"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (50, "50 s"), (59, "1 min"), (372, "6 min"), (7810, "2 h 10 min")]
)
def test_about(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_reasons() -> None:
    assert listing(BuildPlan(PLAN.builds[1:2] + PLAN.builds[3:4], problems=("bad \x1b[2Jpath",))) == [
        "build  zlib-1.3  (usually 1m00s)",
        "       missing: output 'out'",
        "       needed by: png-1.6",
        "       after: zlib-1.3.tar.gz",
        f"       /frx/store/{'a' * 32}-zlib-1.3.drv",
        "build  png-1.6  (usually 30s)",
        "       missing: output 'out'",
        "       after: zlib-1.3",
        f"       /frx/store/{'a' * 32}-png-1.6.drv",
        "can't be done: bad \\x1b[2Jpath",
    ]


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (BuildMode.CHECK, "valid already: built again, as asked"),
        (BuildMode.REPAIR, "valid: built again if it is damaged"),
    ],
)
def test_reasons_for_what_is_valid(mode: BuildMode, text: str) -> None:
    assert listing(BuildPlan((PlannedBuild(drv("a-1")),)), mode)[1].strip() == text
