"""What planning asks of the database, which no load of the machine changes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from fruix.building.plan.goals import plan
from fruix.model import aterm
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.database import Database
from fruix.store.derivation_cache import DerivationCache
from machine import Machine, machines
from packages.test_cost import calls

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: builds run as root")
here, shell = machines()

# Calls of Python's functions for each derivation, with two inputs, of a graph in which each has a level of
# its own; 320 while all of each was read, and paths were hashed by a function of their own, 93 while each
# was looked at twice and paths were made into texts one by one.
MOST_CALLS = 55
# Questions for each derivation, with two inputs, of a graph in which each is on a level of its own; 10 if
# each of them is asked for alone.
MOST = 3


def graph(here: Machine, shell: StorePath, many: int) -> StorePath:
    """Each needs the two before it."""
    made: list[StorePath] = []
    for number in range(many):
        made.append(here.derivation(f"plan-{many}-{number}", "echo > $out", shell, inputs=made[-2:]))
    return made[-1]


def wide(here: Machine, shell: StorePath, many: int) -> StorePath:
    """One needs all others, on one level."""
    made = [here.derivation(f"wide-{many}-{number}", "echo > $out", shell) for number in range(many)]
    return here.derivation(f"wide-{many}", "echo > $out", shell, inputs=made)


def asked(here: Machine, drv: StorePath, monkeypatch: pytest.MonkeyPatch) -> int:
    counted: Counter[str] = Counter()

    def counting(name: str) -> Any:
        real = getattr(Database, name)

        def method(self: Database, given: Any) -> Any:
            counted[name] += 1
            return real(self, [*given] if isinstance(given, Iterable) else given)

        return method

    with monkeypatch.context() as patching:
        for name in ("is_valid", "valid_of"):
            patching.setattr(Database, name, counting(name))
        assert here.builder.missing([DerivedPath(drv, ("out",))]).will_build
    return counted.total()


def test_questions_for_each_derivation_of_a_plan(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, more = (asked(here, graph(here, shell, many), monkeypatch) for many in (20, 40))
    assert few <= 20 * MOST
    assert more - few <= 20 * MOST, "in proportion to the graph"


def test_a_level_of_a_plan_is_asked_for_at_once(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, more = (asked(here, wide(here, shell, many), monkeypatch) for many in (10, 30))
    assert few == more <= 10


def of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no derivation was read lately."""
    monkeypatch.setattr(DerivationCache, "known", lambda _self, _path: None)


def test_calls_for_each_derivation_of_a_plan(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, more = graph(here, shell, 20), graph(here, shell, 60)
    of_files(monkeypatch)

    def counted(drv: StorePath) -> int:
        with here.store.temp_roots.session():
            return calls(lambda: plan(here.store, [DerivedPath(drv, ("out",))]))

    counted(few)  # what is done once
    assert counted(more) - counted(few) <= 40 * MOST_CALLS


def test_a_plan_reads_heads_of_derivations_once(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[StorePath] = Counter()
    real = LocalStore.derivation_text

    def text(self: LocalStore, path: StorePath) -> bytes:
        read[path] += 1
        return real(self, path)

    def whole(_data: bytes, name: str, _directory: str) -> Derivation:
        raise AssertionError(f"all of '{name}' was read")

    drv = graph(here, shell, 30)
    of_files(monkeypatch)
    monkeypatch.setattr(LocalStore, "derivation_text", text)
    monkeypatch.setattr(aterm, "parse", whole)
    with here.store.temp_roots.session():
        found = plan(here.store, [DerivedPath(drv, ("out",))])
    assert set(read.values()) == {1}
    assert len(read) == len(found.goals) == 30
