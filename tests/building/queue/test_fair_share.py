"""Whose turn it is: nobody starves, whoever is alone gets everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from fruix.building.queue.fair_share import Turns
from fruix.building.queue.job import Job
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.storepath import StorePath


@contextmanager
def jobs_of(names: str, output: str = "") -> Iterator[list[Job]]:
    """One job for each letter; `output`: the name of the path that all of them make."""
    path = StorePath.of("/frx/store", "1" * 32 + f"-{output}") if output else None
    plain = Derivation("x", {"out": DerivationOutput(path)}, {}, (), "x86_64-linux", "/bin/sh", (), {})
    made = [
        Job(StorePath.of("/frx/store", "0" * 32 + f"-{name}.drv"), plain, BuildOptions(), "build")
        for name in names
    ]
    yield made


def names(jobs: list[Job]) -> str:
    return "".join(job.path.name[0] for job in jobs)


def taken(turns: Turns) -> Job:
    job = turns.take()
    assert job is not None
    return job


def test_a_small_request_waits_for_one_build_to_end() -> None:
    with jobs_of("aaaaaaaab") as made:
        turns = Turns()
        for job in made[:-1]:
            turns.add(job, ("big", 1))
        running = [taken(turns), taken(turns)]
        turns.add(made[-1], ("small", 2))
        turns.done(running[0])
        assert names([taken(turns)]) == "b"
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
        assert names([taken(turns) for _ in range(4)]) in {"abca", "acba"}


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


def test_many_connections_are_no_more_than_one() -> None:
    with jobs_of("aaaaaab") as made:
        turns = Turns()
        for number, job in enumerate(made[:-1]):
            turns.add(job, ("many", number))
        turns.add(made[-1], ("one", 99))
        assert "b" in names([taken(turns), taken(turns)])


def test_what_several_wait_for_weighs_on_each() -> None:
    """Else who asks first for what all need would have to wait with all the rest."""
    with jobs_of("sabc") as (shared, one, other, third):
        turns = Turns()
        for user in "xyz":
            turns.add(shared, (user, user))
        assert taken(turns) is shared
        for job, user in ((one, "x"), (other, "y"), (third, "w")):
            turns.add(job, (user, "another request"))
        assert taken(turns) is third, "w has nothing that runs"
        turns.done(shared)
        turns.add(shared, ("w", "w"))
        assert {taken(turns), taken(turns)} == {one, other}, "w has something that runs, x and y have not"


def test_who_joins_what_runs_carries_his_share_and_who_leaves_does_not() -> None:
    with jobs_of("sab") as (shared, one, other):
        turns = Turns()
        turns.add(shared, ("x", 1))
        assert taken(turns) is shared
        turns.add(shared, ("y", 2))
        turns.leave(shared, ("x", 1))
        turns.leave(shared, ("y", 2))  # the last one: while it is cleaned up it is still there
        turns.add(other, ("y", 2))
        turns.add(one, ("x", 1))
        assert [taken(turns), taken(turns)] == [one, other]


def test_nobody_is_served_in_the_line_of_one_who_left() -> None:
    with jobs_of("sab") as (shared, one, other):
        turns = Turns()
        turns.add(one, ("busy", 1))
        assert taken(turns) is one
        turns.add(shared, ("busy", 1))
        turns.add(shared, ("helper", 2))
        turns.leave(shared, ("helper", 2))
        turns.add(other, ("third", 3))
        assert [taken(turns), taken(turns)] == [other, shared]


def test_a_user_may_have_a_limit_that_keeps_slots_free() -> None:
    with jobs_of("aaab") as made:
        turns = Turns(per_user=2)
        for job in made[:3]:
            turns.add(job, ("one", 1))
        assert [taken(turns), taken(turns)] == made[:2]
        assert turns.take() is None
        turns.add(made[3], ("two", 2))
        assert taken(turns) is made[3]
        turns.done(made[0])
        assert taken(turns) is made[2]


def test_two_that_make_the_same_never_run_side_by_side() -> None:
    """Also not if one is a download and the other a build."""
    with jobs_of("ab", "same") as (one, other), jobs_of("c") as (third,):
        busy: set[StorePath] = set()
        builds, downloads = Turns(busy), Turns(busy)
        builds.add(one, ("x", 1))
        builds.add(third, ("x", 1))
        downloads.add(other, ("y", 2))
        assert taken(builds) is one
        assert downloads.take() is None
        assert taken(builds) is third, "others go on"
        builds.done(one)
        assert taken(downloads) is other


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 4))
def test_everybody_is_served_in_the_end(lines: list[tuple[int, int]], slots: int) -> None:
    with jobs_of("x" * len(lines)) as made:
        turns = Turns()
        for job, line in zip(made, lines, strict=True):
            turns.add(job, line)
        served: list[Job] = []
        running: list[Job] = []
        while len(turns):
            running.append(taken(turns))
            served.append(running[-1])
            if len(running) == slots:
                turns.done(running.pop(0))
        for job in running:
            turns.done(job)
        assert set(served) == set(made)
        assert not turns._running
