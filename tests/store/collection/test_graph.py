"""What keeps what alive, in both directions of derivations and outputs."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from fruix.model import aterm
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store.collection.graph import Adjacency, Graph
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
