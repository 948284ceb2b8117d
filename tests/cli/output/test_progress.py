from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.requests import BEGIN, EVENTS, FAILING, drv, folded, row
from fruix.cli.output.progress import UNFINISHED, Stage
from fruix.model.buildresult import BuildStatus
from fruix.model.estimate import longest_path
from fruix.model.events import BuilderExited, BuildFailed, BuildFinished, BuildQueued, BuildStarted, Event
from fruix.model.planned import BuildPlan


def test_stages_and_what_is_left() -> None:
    status = folded(EVENTS)
    stages = {path.short_name: node.stage for path, node in status.nodes.items()}
    assert stages == {
        "zlib-1.3.tar.gz": Stage.DONE,
        "zlib-1.3": Stage.RUNNING,
        "gcc-15": Stage.RUNNING,
        "png-1.6": Stage.WAITING,
        "hello-2": Stage.WAITING,
        "manual-1": Stage.QUEUED,
    }
    left = status.remaining(BEGIN + 65)
    assert left.path == (drv("gcc-15"), drv("hello-2"))
    assert (left.seconds, left.unknown) == (300 - 64 + 20, 1)
    late = status.remaining(BEGIN + 1000)  # later than usual is not less than nothing
    assert late.path == (drv("zlib-1.3"), drv("png-1.6"), drv("hello-2"))
    assert late.seconds == 50


@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.sets(st.integers(0, 9))), max_size=10), st.data())
def test_what_is_left_is_the_longest_path_of_all_that_is_unfinished(
    graph: list[tuple[int | None, set[int]]], data: st.DataObject
) -> None:
    rows = [
        row(str(number), *(str(before) for before in needs if before < number), usual=usual)
        for number, (usual, needs) in enumerate(graph)
    ]
    status = folded([], BuildPlan(tuple(rows)))
    for planned in rows:  # builds go on in some order that the graph allows; one may fail
        if any(status.nodes[path].stage is not Stage.DONE for path in planned.needs):
            continue
        if status.nodes[planned.drv].stage is Stage.BLOCKED or not data.draw(st.booleans()):
            continue
        status.apply(BuildStarted(planned.drv, "", time=BEGIN), BEGIN)
        ending = data.draw(st.sampled_from(["runs", "done", "failed"]))
        if ending == "done":
            status.apply(BuildFinished(planned.drv, 1, {}), BEGIN)
        elif ending == "failed":
            status.apply(BuildFailed(planned.drv, BuildStatus.PERMANENT_FAILURE, "no"), BEGIN)
        status.remaining(BEGIN)
    left = {path: node for path, node in status.nodes.items() if node.stage in UNFINISHED}
    # What could begin has not been queued yet here; the daemon does that at once.
    for path, node in left.items():
        if node.stage is Stage.WAITING and not any(need in left for need in node.needs):
            status.apply(BuildQueued(path, "build"), BEGIN)
    seconds, _ = longest_path(
        {path: node.remaining(BEGIN + 3) for path, node in left.items()},
        {path: node.needs for path, node in left.items()},
    )
    found = status.remaining(BEGIN + 3)
    assert found.seconds == seconds
    assert set(found.path) <= set(left)


def test_a_failure_is_told_with_what_it_blocks() -> None:
    status = folded([*EVENTS, *FAILING])
    (failure,) = status.failures
    assert (failure.path, failure.event.phase, failure.event.seconds) == (drv("zlib-1.3"), "build", 66)
    assert failure.event.lines == ("cc -c \x1b[31mzlib.c",)
    assert failure.blocked == (drv("png-1.6"), drv("hello-2"))
    assert status.counts()[Stage.BLOCKED] == 2
    # What depends on it is no failure of its own, however the daemon tells of it.
    status.apply(
        BuildFailed(drv("png-1.6"), BuildStatus.DEPENDENCY_FAILED, "1 dependency failed"), BEGIN + 72
    )
    assert len(status.failures) == 1
    assert status.remaining(BEGIN + 72).path == (drv("gcc-15"),)


def test_what_was_needed_is_done_when_its_user_begins() -> None:
    """Somebody else's build of it isn't told of."""
    status = folded([(0, BuildStarted(drv("png-1.6"), "png-1.6"))])
    assert status.nodes[drv("zlib-1.3")].stage is Stage.DONE
    assert status.nodes[drv("png-1.6")].started == BEGIN


def test_rounds_are_one_build() -> None:
    rounds: list[tuple[float, Event]] = [
        (0, BuildStarted(drv("gcc-15"), "", time=BEGIN, rounds=2)),
        (5, BuilderExited(drv("gcc-15"), 0, None, BEGIN + 5)),
        (6, BuildStarted(drv("gcc-15"), "", time=BEGIN + 6, round=2, rounds=2)),
    ]
    node = folded(rounds).nodes[drv("gcc-15")]
    assert (node.started, node.exited, node.stage) == (BEGIN, 0, Stage.RUNNING)


def test_events_of_what_no_plan_named() -> None:
    status = folded([(5, BuildFinished(drv("other"), 2, {}))], BuildPlan())
    node = status.nodes[drv("other")]
    assert (node.stage, node.started, node.ended) == (Stage.DONE, BEGIN + 3, BEGIN + 5)
