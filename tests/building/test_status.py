"""What is said of builds that run, wait, or would be needed; with real sandboxes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fruix.building.record.course import MOST_PHASES
from fruix.building.record.record_file import read_record
from fruix.building.settings import BuildSettings
from fruix.model.activity import ActiveBuild, Client, State
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuilderExited, BuildQueued
from fruix.model.storepath import StorePath
from machine import Machine, machine
from waiting import until


@pytest.fixture(scope="module")
def here(each_back_end: str) -> Iterator[Machine]:
    with machine(BuildSettings(max_jobs=1, cores=1)) as made:
        yield made


@pytest.fixture(scope="module")
def shell(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> StorePath:
    return here.shell(tmp_path_factory.mktemp("scratch"))


def wait_for(here: Machine, wanted: Callable[[list[ActiveBuild]], bool]) -> list[ActiveBuild]:
    def found() -> list[list[ActiveBuild]]:
        rows = here.builder.active()
        return [rows] if wanted(rows) else []

    return until(found, "the builds that are wanted")[0]


def test_running_and_queued_builds_of_all_clients(here: Machine, shell: StorePath) -> None:
    busy = "x=$(yes | head -c 8000000); echo '@ fruix phase spin'; while :; do :; done"
    drvs = [here.derivation(name, busy, shell) for name in ("first-1", "second-1")]
    cancelled = threading.Event()

    def ask(drv: StorePath, uid: int) -> None:
        options = BuildOptions("fruix", requester=Requester(uid, uid, 100 + uid))
        here.builder.realise([DerivedPath(drv, ALL)], options, here.events.append, cancelled)

    threads = [threading.Thread(target=ask, args=args) for args in zip(drvs, (70007, 0), strict=True)]
    threads += [threading.Thread(target=ask, args=(drvs[0], 70009))]
    # One after the other, so that the first one is the first.
    for thread, clients in zip(threads, ([1], [1, 1], [2, 1]), strict=True):
        thread.start()
        until(lambda: [len(row.clients) for row in here.builder.active()] == clients, f"clients {clients}")  # noqa: B023 - asked at once
    try:
        first, second = wait_for(
            here,
            lambda rows: (
                len(rows) == 2
                and len(rows[0].clients) == 2
                and rows[0].phase == "spin"
                and (rows[0].cpu_us or 0) > 100_000
            ),
        )
        assert (first.drv, first.state, first.kind) == (drvs[0], State.RUNNING, "build")
        assert [client.user for client in first.clients] == ["70007", "70009"]
        assert first.pid > 0
        assert first.memory is not None
        assert first.memory > 1_000_000
        assert first.processes is not None
        assert 1 <= first.processes <= 3
        assert first.submitted_ms <= first.started_ms <= first.phase_started_ms
        assert first.log_file.endswith("first-1.drv.bz2")
        assert (second.drv, second.state, second.cpu_us, second.pid) == (drvs[1], State.QUEUED, None, 0)
        assert second.clients == (Client(0, "root", 100),)
    finally:
        cancelled.set()
        for thread in threads:
            thread.join()
    wait_for(here, lambda rows: not rows)
    queued = [event.drv for event in here.events if isinstance(event, BuildQueued)]
    assert set(queued) == set(drvs)


def test_a_plan_says_why_and_how_long(here: Machine, shell: StorePath) -> None:
    base = here.derivation("base-1", "echo x > $out", shell)
    top = here.derivation("top-1", "echo y > $out", shell, inputs=[base])
    plan = here.builder.planned([DerivedPath(top, ALL)])
    assert [(row.drv, row.missing, row.needs, row.usual_ms) for row in plan.builds] == [
        (base, ("out",), (), None),
        (top, ("out",), (base,), None),
    ]
    assert (plan.jobs, plan.problems) == (1, ())
    assert here.build(top)[0].success
    assert here.builder.planned([DerivedPath(top, ALL)]).builds == ()
    (again,) = here.builder.planned([DerivedPath(top, ALL)], BuildOptions(mode=BuildMode.CHECK)).builds
    assert (again.drv, again.missing, again.needs) == (top, (), ())
    newer = here.derivation("top-2", "echo z > $out", shell, inputs=[base])
    (row,) = here.builder.planned([DerivedPath(newer, ALL)]).builds
    (problem,) = here.builder.planned([DerivedPath(newer, ALL)], BuildOptions(mode=BuildMode.CHECK)).problems
    assert problem == f"some outputs of '{newer}' are not valid, so checking is not possible"
    assert row.usual_ms is not None
    assert 0 < row.usual_ms < 60_000
    exits = [event for event in here.events if isinstance(event, BuilderExited) and event.drv == top]
    assert [(event.code, event.signal) for event in exits] == [(0, None)]
    gone = StorePath.of(here.store.directory, f"{'z' * 32}-gone.drv")
    assert "missing derivation" in here.builder.planned([DerivedPath(gone, ALL)]).problems[0]


def test_failed_builds_are_not_usual(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    drv = here.derivation("bad-1", "exit 1", shell)
    assert not here.build(drv)[0].success
    assert here.builder.planned([DerivedPath(drv, ALL)]).builds[0].usual_ms is None


def test_a_builder_that_announces_phases_for_ever(here: Machine, shell: StorePath) -> None:
    drv = here.derivation(
        "phases-1",
        "i=0; while [ $i -lt 3000 ]; do echo @ fruix phase p$i; i=$((i+1)); done; echo > $out",
        shell,
    )
    assert here.build(drv)[0].success
    record = read_record(here.store.layout.log_file(drv))
    assert record is not None
    assert len(record["phases"]) == MOST_PHASES
