"""What planning asks of the database, which no load of the machine changes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.store.database import Database
from machine import Machine, machines

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: builds run as root")
here, shell = machines()

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
