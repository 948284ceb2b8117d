"""Plans of which only the heads of derivations were read: what is wrong with the rest the build finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asking import options
from fruix.building.plan.goals import plan
from fruix.model.aterm.outline import Outline
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.store.derivation_cache import DerivationCache
from machine import Machine, machines

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: builds run as root")
here, shell = machines()


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """No derivation was read lately."""
    monkeypatch.setattr(DerivationCache, "known", lambda _self, _path: None)


@contextmanager
def damaged(here: Machine, drv: StorePath) -> Iterator[None]:
    """A derivation's file lacks its end for a while."""
    real = Path(here.store.real(drv))
    whole, status = real.read_bytes(), real.stat()
    real.write_bytes(whole[:-4])
    yield
    real.write_bytes(whole)
    os.utime(real, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_derivation_with_a_damaged_end_fails_alone(here: Machine, shell: StorePath) -> None:
    good = here.derivation("good", "echo > $out", shell)
    bad = here.derivation("bad", "echo > $out", shell)
    above = here.derivation("above", "echo > $out", shell, inputs=[bad])
    with damaged(here, bad):
        one, two, three = here.build(good, bad, above, options=options(keep_going=True))
    assert one.status is BuildStatus.BUILT
    assert two.status is BuildStatus.INPUT_REJECTED
    assert "error parsing derivation 'bad'" in two.message
    assert three.status is BuildStatus.DEPENDENCY_FAILED


def test_nothing_else_is_begun_when_one_turns_out_to_be_damaged(here: Machine, shell: StorePath) -> None:
    bad = here.derivation("bad", "echo > $out", shell)
    above = here.derivation("above", "echo > $out", shell, inputs=[bad])
    with damaged(here, bad):
        (result,) = here.build(above, options=options(max_jobs=1))
    assert result.status is BuildStatus.DEPENDENCY_FAILED


def test_goals_hold_outlines(here: Machine, shell: StorePath) -> None:
    low = here.derivation("low", "echo > $out", shell)
    top = here.derivation("top", "echo > $out", shell, inputs=[low])
    found = plan(here.store, [DerivedPath(top, ("out",))])
    assert [*found.goals] == [low, top]
    assert all(isinstance(goal.known, Outline) for goal in found.goals.values())
    assert found.goals[top].derivation == here.store.read_derivation(top)
    assert found.goals[top].dependencies == (low,)


def test_outputs_that_are_not_needed_are_no_goals(here: Machine, shell: StorePath) -> None:
    outputs = {name: DerivationOutput(None) for name in ("lib", "out")}
    low = here.derivation("low", "echo > $out; echo > $lib", shell, outputs=outputs)
    top = here.derivation("top", "echo > $out", shell, inputs=[low])
    here.build(low)
    lib = here.store.derivation_outputs(low)["lib"]
    os.unlink(here.store.real(lib))
    assert [*plan(here.store, [DerivedPath(top, ("out",))]).goals] == [top]
    both = plan(
        here.store, [DerivedPath(low, ("out",)), DerivedPath(low, ("lib",)), DerivedPath(top, ("*",))]
    )
    assert {drv: goal.mode for drv, goal in both.goals.items()} == {
        low: BuildMode.REPAIR,
        top: BuildMode.NORMAL,
    }
    assert both.goals[top].dependencies == (low,)
    (refused,) = plan(here.store, [DerivedPath(low, ("doc",))]).settled.values()
    assert "has no output 'doc'" in refused.message
    here.build(low)  # nothing is missing at the end
