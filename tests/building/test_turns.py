"""Whose turn it is: nobody starves, whoever is alone gets everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from fruix.building.scheduler import Job
from fruix.building.settings import BuildOptions
from fruix.building.turns import Turns
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath


@contextmanager
def jobs_of(names: str) -> Iterator[list[Job]]:
    plain = Derivation("x", {}, {}, (), "x86_64-linux", "/bin/sh", (), {})
    made = [
        Job(StorePath.of("/frx/store", "0" * 32 + f"-{name}.drv"), plain, BuildOptions(), "build")
        for name in names
    ]
    yield made


def names(jobs: list[Job]) -> str:
    return "".join(job.path.name[0] for job in jobs)


def test_a_small_request_waits_for_one_build_to_end() -> None:
    with jobs_of("aaaaaaaab") as made:
        turns = Turns()
        for job in made[:-1]:
            turns.add(job, ("big", 1))
        running = [turns.take(), turns.take()]
        turns.add(made[-1], ("small", 2))
        turns.done(running[0])
        assert names([turns.take()]) == "b"
        assert len(turns) == 6


def test_users_first_then_requests() -> None:
    with jobs_of("aaabbbc") as made:
        turns = Turns()
        for job in made[:3]:
            turns.add(job, ("one", 1))
        for job in made[3:6]:
            turns.add(job, ("one", 2))
        turns.add(made[6], ("two", 3))
        # Four slots: one's two requests take turns, and two's single job isn't the last.
        assert names([turns.take() for _ in range(4)]) in {"abca", "acba"}


def test_a_shared_job_is_taken_once() -> None:
    with jobs_of("ab") as (shared, other):
        turns = Turns()
        turns.add(shared, (1, 1))
        turns.add(shared, (2, 2))
        turns.add(other, (2, 2))
        assert turns.is_waiting(shared)
        assert [turns.take(), turns.take()] == [shared, other]
        assert not turns.is_waiting(shared)
        assert len(turns) == 0


def test_what_is_removed_has_no_turn() -> None:
    with jobs_of("ab") as (one, two):
        turns = Turns()
        turns.add(one, (1, 1))
        turns.add(two, (1, 1))
        turns.remove(one)
        assert turns.take() is two


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 4))
def test_everybody_is_served_in_the_end(lines: list[tuple[int, int]], slots: int) -> None:
    with jobs_of("x" * len(lines)) as made:
        turns = Turns()
        for job, line in zip(made, lines, strict=True):
            turns.add(job, line)
        served: list[Job] = []
        running: list[Job] = []
        while len(turns):
            running.append(turns.take())
            served.append(running[-1])
            if len(running) == slots:
                turns.done(running.pop(0))
        for job in running:
            turns.done(job)
        assert set(served) == set(made)
        assert not turns._running
