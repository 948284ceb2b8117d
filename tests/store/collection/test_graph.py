"""What keeps what alive, in both directions of derivations and outputs."""

from __future__ import annotations

import os
import random
from array import array
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

from fruix.model import aterm
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store import schema
from fruix.store.collection import graph as graph_module
from fruix.store.collection.edges import Adjacency, Edges
from fruix.store.collection.graph import Graph
from fruix.store.local import LocalStore
from store.helpers import info_of


def derivation(store: LocalStore) -> tuple[StorePath, dict[str, StorePath]]:
    """One with two outputs, neither of which anything keeps alive."""
    plain = Derivation(
        name="multi",
        outputs={"out": DerivationOutput(None), "lib": DerivationOutput(None)},
        input_drvs={},
        input_srcs=(),
        system="x86_64-linux",
        builder="/bin/sh",
        args=(),
        env={"out": "", "lib": ""},
    )
    drv = fill_outputs(plain, DerivationHasher(store.read_derivation), store.directory)
    with store.temp_roots.session():
        path = store.add_text("multi.drv", aterm.render(drv), ())
        for output in drv.output_paths.values():
            info, data = info_of(store, "x", b"")
            store.add_nar(replace(info, path=output, deriver=path), [data])
    return path, dict(drv.output_paths)


KEEPS = {
    "neither": Keep(outputs=False, derivations=False),
    "derivations": Keep(outputs=False, derivations=True),
    "outputs": Keep(outputs=True, derivations=False),
    "both": Keep(outputs=True, derivations=True),
}
ALIVE = {
    ("out", "neither"): "out",
    ("out", "derivations"): "out drv",
    ("out", "outputs"): "out",
    ("out", "both"): "out drv lib",
    ("drv", "neither"): "drv",
    ("drv", "derivations"): "drv",
    ("drv", "outputs"): "out drv lib",
    ("drv", "both"): "out drv lib",
}


@pytest.mark.parametrize(("root", "keep"), list(ALIVE))
def test_derivations_and_outputs(store: LocalStore, root: str, keep: str) -> None:
    drv, outputs = derivation(store)
    paths = {"drv": drv, **outputs}
    os.symlink(str(paths[root]), f"{store.layout.gcroots}/x")
    expected = sorted(paths[word] for word in ALIVE[root, keep].split())
    assert store.live_paths(KEEPS[keep]) == expected
    assert store.dead_paths(KEEPS[keep]) == sorted(set(paths.values()) - set(expected))


def test_an_output_keeps_only_the_derivation_that_it_was_built_from(store: LocalStore) -> None:
    _drv, outputs = derivation(store)
    with store.database.writing() as connection:
        connection.execute("update ValidPaths set deriver = null where path = ?", (str(outputs["out"]),))
    os.symlink(str(outputs["out"]), f"{store.layout.gcroots}/x")
    assert store.live_paths(KEEPS["derivations"]) == [outputs["out"]]


def test_edges_are_found_by_where_they_begin() -> None:
    edges = Adjacency(4, [3, 0, 3, 1], [0, 2, 1, 0])
    assert [sorted(edges.of(place)) for place in range(4)] == [[2], [0], [], [0, 1]]


def test_referrers_come_first_whatever_is_asked_for(store: LocalStore) -> None:
    chance = random.Random(11)
    paths: list[StorePath] = []
    with store.temp_roots.session():
        for number in range(60):
            references = chance.sample(paths, min(len(paths), chance.randrange(4)))
            paths.append(store.add_text(str(number), b"", references))
        info, data = info_of(store, "self", b"")
        store.add_nar(replace(info, references=(info.path,)), [data])
    with store.database.snapshot() as connection:
        graph = Graph(connection, Keep())
        edges = dict[int, set[int]]()
        for referrer, reference in connection.execute("select referrer, reference from Refs"):
            edges.setdefault(referrer, set()).add(reference)
        rows = list(graph.rows(alive=False))
        chance.shuffle(rows)
        order = list(graph.dead_first_referrers(rows))
    assert sorted(order) == sorted(rows)
    at = {row: place for place, row in enumerate(order)}
    assert all(at[a] <= at[b] for a, found in edges.items() for b in found)


def test_a_circle_of_references_is_given_too(store: LocalStore) -> None:
    """No registration makes one; a database may have been changed by other means."""
    with store.temp_roots.session():
        a = store.add_text("a", b"")
        store.add_text("b", b"", [a])
    with store.database.writing() as connection:
        connection.execute("insert into Refs select reference, referrer from Refs")
    assert len(store.dead_paths(Keep())) == 2
    assert store.collect(Keep(), Goal()).deleted == 2
    assert store.verify() == []


def graph_of(
    store: LocalStore, many: int, edges: set[tuple[int, int]], roots: Collection[int] = (), *, step: int = 2
) -> Graph:
    """A graph of rows that leaves gaps: row 2n, or step times n, is the path of number n."""
    with store.database.writing() as connection:
        connection.executemany(
            "insert into ValidPaths (id, path, hash, registrationTime, narSize) values (?, ?, 'x', 1, ?)",
            ((step * row, f"{store.directory}/{row}", row) for row in range(1, many + 1)),
        )
        connection.executemany(
            "insert into Refs (referrer, reference) values (?, ?)", ((step * a, step * b) for a, b in edges)
        )
    with store.database.snapshot() as connection:
        return Graph(connection, Keep(), roots, sizes=True)


def reached(edges: set[tuple[int, int]], roots: set[int]) -> set[int]:
    found, before = set(roots), set[int]()
    while found != before:
        before = set(found)
        found |= {b for a, b in edges if a in found}
    return found


@pytest.mark.parametrize("known", [0, 1, 20])
@pytest.mark.parametrize("at_once", [7, 5000])
@pytest.mark.parametrize("down", [1.0, 0.9, 0.5, 0.0])
def test_what_roots_reach_is_alive_whichever_way_edges_lead(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, down: float, at_once: int, known: int
) -> None:
    """Some roots are known when the graph is read, others come later."""
    monkeypatch.setattr(graph_module, "_AT_ONCE", at_once)
    chance = random.Random(f"{down}")
    many = 400
    edges = set[tuple[int, int]]()
    while len(edges) < many:
        low, high = sorted(chance.sample(range(1, many + 1), 2))
        edges.add((high, low) if chance.random() < down else (low, high))
    roots = set(chance.sample(range(1, many + 1), known))
    graph = graph_of(store, many, edges, [2 * row for row in roots])
    for count in (0, 3, 1, 5):  # once all edges are gone through, later some are followed
        roots |= set(chance.sample(range(1, many + 1), count))
        graph.mark([*(2 * row for row in roots), 3, 10 * many])  # two that there are not
        alive = {2 * row for row in reached(edges, roots)}
        assert set(graph.rows(alive=True)) == alive
        assert {row for row in range(2, 2 * many + 1, 2) if graph.is_alive(row)} == alive
        assert (graph.live, len(graph)) == (len(alive), many)
        assert set(graph.rows(alive=False)) == {2 * row for row in range(1, many + 1)} - alive
    assert graph.size(20) == 10


@pytest.mark.parametrize("at_once", [1, 2, 3, 40])
def test_a_store_without_gaps_is_read_in_pieces(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(graph_module, "_AT_ONCE", at_once)
    paths = [store.add_text(f"t{number}", b"x") for number in range(4)]
    paths.append(store.add_text("last", b"x", paths[1:3]))
    rows = [store.database.row_of(path) for path in paths]
    with store.database.snapshot() as connection:
        graph = Graph(connection, Keep())
    graph.mark(rows[-1:])
    assert [row for row in range(1, rows[-1] + 1) if graph.is_alive(row)] == [*rows[1:3], rows[-1]]
    assert len(graph) == len(paths)


def test_rows_and_references_come_many_at_once(store: LocalStore) -> None:
    """A tuple for each of them was most of the time that a collection of many paths took."""
    graph_of(store, 300, {(row, row // 2) for row in range(2, 301)})
    fetched: list[object] = []
    with store.database.snapshot() as connection:
        connection.row_factory = lambda _cursor, row: (row, fetched.append(row))[0]  # type: ignore[func-returns-value]
        try:
            assert len(Graph(connection, Keep())) == 300
        finally:
            connection.row_factory = None
    assert len(fetched) < 10


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many edges each list of them was made of."""
    found: list[int] = []
    make = Edges.__init__

    def counted(self: Edges, newest: int, begins: array[int], ends: array[int]) -> None:
        found.append(len(ends))
        make(self, newest, begins, ends)

    monkeypatch.setattr(Edges, "__init__", counted)
    return found


def test_edges_of_what_is_alive_are_not_held(store: LocalStore, held: list[int]) -> None:
    many = 100
    graph = graph_of(store, many, {(row, row - 1) for row in range(2, many + 1)}, [2 * 70])
    assert graph.live == 70
    assert sum(held) == 30  # of 99


def test_of_what_is_alive_nothing_but_its_references_is_read(store: LocalStore) -> None:
    """Counted in steps of SQLite's machine, by tens: rows and derivers took six more for each path."""
    many = 2000
    steps: list[int] = []
    edges = {(row, row // 2) for row in range(2, many + 1)} | {(row, row - 1) for row in range(2, many + 1)}
    graph_of(store, many, edges, step=1)
    with store.database.snapshot() as connection:
        connection.set_progress_handler(lambda: steps.append(1), 10)
        try:
            connection.execute(schema.GRAPH_REFERENCES, (0, many)).fetchone()
            needed = len(steps)
            assert Graph(connection, Keep(), [many]).live == many
        finally:
            connection.set_progress_handler(None, 0)
    assert 10 * (len(steps) - 2 * needed) < many


def test_a_long_way_up_is_followed_to_its_end(store: LocalStore) -> None:
    many = 50
    graph = graph_of(store, many, {(row, row + 1) for row in range(1, many)})
    graph.mark([2])
    assert graph.live == many


def test_all_edges_are_gone_through_a_few_times_at_most(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[int] = []
    follow = Edges.__iter__

    def counted(edges: Edges) -> Iterator[tuple[int, int]]:
        times.append(len(edges))
        return follow(edges)

    monkeypatch.setattr(Edges, "__iter__", counted)
    graph = graph_of(store, 50, {(row, row // 2) for row in range(2, 51)})
    graph.mark([100])
    graph.mark([98, 96])
    assert len([count for count in times if count]) == 2


def test_derivers_are_followed_while_references_are_read(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, held: list[int]
) -> None:
    """What a derivation needs is alive then too, whether a root is known before or not."""
    monkeypatch.setattr(graph_module, "_AT_ONCE", 1)
    with store.temp_roots.session():
        source = store.add_text("source", b"")
    drv, outputs = derivation(store)
    with store.database.writing() as connection:
        connection.execute(schema.ADD_REFERENCE, (str(drv), str(source)))
    roots = [store.database.row_of(outputs["out"])]
    for keep in KEEPS.values():
        with store.database.snapshot() as connection:
            known, graph = Graph(connection, keep, roots), Graph(connection, keep)
        graph.mark(roots)
        assert list(known.rows(alive=True)) == list(graph.rows(alive=True))
        assert known.is_alive(store.database.row_of(source)) == keep.derivations
    held.clear()
    with store.database.snapshot() as connection:
        Graph(connection, KEEPS["derivations"], roots)
    assert held == [2, 0]  # derivers of both outputs; references
