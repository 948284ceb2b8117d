from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.model.estimate import estimate, longest_path
from fruix.model.planned import PlannedBuild
from fruix.model.storepath import StorePath


def drv(name: str) -> StorePath:
    return StorePath.of("/frx/store", f"{'a' * 32}-{name}.drv")


def names(path: tuple[StorePath, ...]) -> list[str]:
    return [node.short_name for node in path]


def test_the_heaviest_chain_not_the_one_with_most_steps() -> None:
    needs = {drv("d"): [drv("c"), drv("x")], drv("c"): [drv("b")], drv("b"): [drv("a")]}
    seconds = {drv(name): 1.0 for name in "abcd"}
    assert longest_path(seconds, needs) == (4.0, tuple(map(drv, "abcd")))
    heavy = {**seconds, drv("x"): 10.0}
    assert longest_path(heavy, needs) == (11.0, (drv("x"), drv("d")))
    assert longest_path({}, needs) == (0.0, ())


def test_where_no_duration_is_known_the_steps_count() -> None:
    needs = {drv("c"): [drv("b"), drv("x")], drv("b"): [drv("a")]}
    total, path = longest_path(dict.fromkeys(map(drv, "abcx"), 0.0), needs)
    assert (total, names(path)) == (0.0, ["a", "b", "c"])


def test_any_depth() -> None:
    nodes = [drv(f"n{index}") for index in range(5000)]
    needs = {after: [before] for before, after in itertools.pairwise(nodes)}
    assert longest_path(dict.fromkeys(nodes, 1.0), needs) == (5000.0, tuple(nodes))


@given(st.lists(st.tuples(st.floats(0, 100), st.sets(st.integers(0, 11))), max_size=12))
def test_like_trying_all_chains(graph: list[tuple[float, set[int]]]) -> None:
    seconds = {drv(str(index)): weight for index, (weight, _) in enumerate(graph)}
    needs = {
        drv(str(index)): [drv(str(before)) for before in sorted(befores) if before < index]
        for index, (_, befores) in enumerate(graph)
    }

    def heaviest(node: StorePath) -> float:
        return seconds[node] + max((heaviest(path) for path in needs[node]), default=0.0)

    total, path = longest_path(seconds, needs)
    assert total == pytest.approx(max(map(heaviest, seconds), default=0.0))
    assert sum(seconds[node] for node in path) == pytest.approx(total)
    assert all(before in needs[after] for before, after in itertools.pairwise(path))


def test_an_estimate_is_bounded_by_the_chain_and_by_the_jobs() -> None:
    rows = [PlannedBuild(drv(name), usual_ms=10_000) for name in "abcd"]
    assert estimate(rows, 2).seconds == 20
    assert estimate(rows, 0).seconds == 10
    assert estimate([*rows, PlannedBuild(drv("e"), needs=(drv("a"),), usual_ms=25_000)], 2).seconds == 35
    assert estimate([PlannedBuild(drv("new"))], 2).unknown == 1
    downloads = [PlannedBuild(drv(name), "download", usual_ms=10_000) for name in "abcd"]
    assert estimate(downloads, 1).seconds == 10  # they have slots of their own
