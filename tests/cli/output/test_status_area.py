"""The status area as it looks: snapshots, and what must hold for every size."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.requests import BEGIN, EVENTS, FAILING, drv, folded
from fruix.cli.output.status_area import Form, status_area
from fruix.model.events import BuildQueued, BuildStarted
from fruix.model.planned import BuildPlan, PlannedBuild

SGR = re.compile(r"\x1b\[[0-9;]*m")


def area(moment: float, form: Form, *, failing: bool = False) -> str:
    events = [*EVENTS, *FAILING] if failing else EVENTS
    status = folded([event for event in events if event[0] <= moment])
    return "\n".join(status_area(status, BEGIN + moment, form))


PLAIN = Form(100, 30, utf8=True, colour=False)


def test_the_beginning() -> None:
    assert area(0, PLAIN) == (
        "· hello-2\n"
        "├─ ○ gcc-15  queued\n"
        "└─ · png-1.6\n"
        "   └─ · zlib-1.3\n"
        "      └─ ○ zlib-1.3.tar.gz  queued\n"
        "○ manual-1  queued\n"
        "0 of 6 done, 6 waiting · at least 5 min left: gcc-15 → hello-2"
    )


def test_a_download() -> None:
    assert "└─ ↓ zlib-1.3.tar.gz  2.0 MiB of 4.0 MiB, 1.0 MiB/s\n" in area(3, PLAIN)


def test_the_middle() -> None:
    assert area(68, PLAIN) == (
        "· hello-2\n"
        "├─ ● gcc-15  build 3.0s, 1m07s of about 5 min\n"
        "└─ · png-1.6\n"
        "   └─ ● zlib-1.3  build 1m02s, 1m03s of about 1 min\n"
        "○ manual-1  queued\n"
        "1 of 6 done, 2 running, 3 waiting · at least 4 min left: gcc-15 → hello-2"
    )


def test_ascii() -> None:
    assert area(68, Form(100, 30, utf8=False, colour=False)) == (
        "- hello-2\n"
        "|- * gcc-15  build 3.0s, 1m07s of about 5 min\n"
        "`- - png-1.6\n"
        "   `- * zlib-1.3  build 1m02s, 1m03s of about 1 min\n"
        ". manual-1  queued\n"
        "1 of 6 done, 2 running, 3 waiting - at least 4 min left: gcc-15 -> hello-2"
    )


def test_outputs_and_failures() -> None:
    assert "● zlib-1.3  outputs 0.5s, 1m06s of about 1 min\n" in area(70.5, PLAIN, failing=True)
    assert area(71, PLAIN, failing=True).splitlines()[-1] == (
        "1 of 6 done, 1 running, 1 waiting, 1 failed, 2 blocked · at least 4 min left"
    )


def test_a_small_terminal_shows_what_runs_first() -> None:
    assert area(68, Form(100, 13, utf8=True, colour=False)) == (
        "● gcc-15  build 3.0s, 1m07s of about 5 min\n"
        "● zlib-1.3  build 1m02s, 1m03s of about 1 min\n"
        "○ manual-1  queued\n"
        "1 of 6 done, 2 running, 3 waiting · at least 4 min left: gcc-15 → hello-2"
    )
    assert area(68, Form(100, 9, utf8=True, colour=False)).splitlines()[:-1] == [
        "● gcc-15  build 3.0s, 1m07s of about 5 min",
        "… and 2 more",
    ]
    assert area(68, Form(100, 3)).count("\n") == 0


def test_a_narrow_one_is_cut() -> None:
    lines = area(68, Form(20, 30, utf8=True, colour=False)).splitlines()
    assert lines[1] == "├─ ● gcc-15  build…"


def test_colours_change_nothing_else() -> None:
    coloured = area(68, Form(100, 30))
    assert coloured != area(68, PLAIN)
    assert SGR.sub("", coloured) == area(68, PLAIN)


@given(st.integers(1, 60), st.integers(1, 150), st.integers(0, 200), st.booleans())
def test_never_more_than_a_third_nor_wider(height: int, width: int, builds: int, utf8: bool) -> None:
    rows = [PlannedBuild(drv(f"b{n}"), needs=(drv(f"b{n - 3}"),) if n >= 3 else ()) for n in range(builds)]
    events = [
        (0, (BuildStarted if n % 2 else BuildQueued)(row.drv, "build"))
        for n, row in enumerate(rows[: builds // 2])
    ]
    status = folded(events, BuildPlan(tuple(rows)))
    lines = status_area(status, BEGIN + 5, Form(width, height, utf8=utf8))
    assert 1 <= len(lines) <= max(1, height // 3)
    assert all(len(SGR.sub("", line)) < max(2, width) for line in lines)
    if not utf8:
        assert "\n".join(lines).isascii()


@pytest.mark.parametrize("depth", [2000])
def test_any_depth(depth: int) -> None:
    rows = [PlannedBuild(drv(f"b{n}"), needs=(drv(f"b{n - 1}"),) if n else ()) for n in range(depth)]
    status = folded([(0, BuildQueued(drv("b0"), "build"))], BuildPlan(tuple(rows)))
    assert status_area(status, BEGIN, PLAIN)[0].startswith("○ b0")
