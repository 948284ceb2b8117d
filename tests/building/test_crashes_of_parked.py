"""SIGKILL at every step of a build whose sandbox has stood ready; the next start leaves no trace of it.

A process that builds twice; the fault is armed in between, when a sandbox is ready.
"""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from crashing import child, exit_of, stored_shell, traces
from fruix import failpoints
from fruix.building.builder import Builder
from fruix.building.parking import PREFIX
from fruix.building.recovery import recover_builds
from fruix.building.settings import BuildSettings
from fruix.model.storepath import StorePath
from fruix.sandbox import Spawner
from fruix.sandbox.linux.child import EARLY_STEPS, STEPS
from fruix.sandbox.linux.processes import is_elsewhere
from fruix.store import Layout, LocalStore
from machine import Machine
from seen_processes import children_of, descriptors_of
from waiting import until

LATER = ["release", *(name for name, _ in STEPS[len(EARLY_STEPS) :])]
FAILED = 3
CASES = [(step, victim) for step in LATER for victim in ("daemon", "spawner", "builder")]


shell = stored_shell()


@pytest.mark.parametrize(("step", "victim"), CASES)
def test_a_crash_leaves_nothing(step: str, victim: str, shell: StorePath) -> None:
    names = [f"{step}-{victim}-{number}" for number in range(2)]
    ended = exit_of(child(partial(build_twice, names, shell, f"{step}:{victim}")))
    assert ended == (-signal.SIGKILL if victim == "daemon" else FAILED)
    assert len(noted()) == (victim != "builder")
    with LocalStore(Layout()).open() as store:
        recover_builds(store)
        assert traces(store) == []  # type: ignore[arg-type]
    assert exit_of(child(partial(build_twice, names, shell, ""))) == 0
    with LocalStore(Layout()).open() as store:
        assert noted() == []
        assert traces(store) == []  # type: ignore[arg-type]
        assert store.verify(contents=True) == []


def noted() -> list[str]:
    return [name for name in os.listdir(f"{Layout().builds}/journal") if name.startswith(PREFIX)]


def build_twice(names: list[str], shell: StorePath, fault: str) -> int:
    """A daemon's work; the second of the builds takes the sandbox that has stood ready, with a fault."""
    spawner = Spawner.start()
    try:
        with LocalStore(Layout()).open() as store:
            builder = Builder(store, spawner, BuildSettings(max_jobs=1))
            here = Machine(store, builder)
            drvs = [here.derivation(name, "(setsid sleep 1000 &); echo > $out", shell) for name in names]
            (first,) = here.build(drvs[0])
            assert first.success, first.message
            if fault:  # else the first was valid
                until(lambda: is_ready(spawner.pid), "a sandbox that stands ready")
                failpoints.arm(fault)
            (second,) = here.build(drvs[1])
            builder.close()
            return 0 if second.success else FAILED
    finally:
        spawner.close()


def is_ready(spawner: int) -> bool:
    """Whether it has a child that has let go of all descriptors but its own."""
    return any(len(descriptors_of(pid)) == 5 for pid in children_of(spawner) if is_elsewhere(pid))
