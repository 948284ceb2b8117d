"""Builds while garbage is collected all the time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from machine import Machine, machines

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = machines()
PATIENCE = 120
OUTPUTS = {"out": DerivationOutput(None), "lib": DerivationOutput(None)}


def two(here: Machine, name: str, shell: StorePath, *inputs: StorePath) -> StorePath:
    """A derivation with two outputs, which needs the first one of each input."""
    reads = " ".join(f"cat {here.output(drv)};" for drv in inputs)
    script = f"{{ {reads} echo {name}; }} > $out; echo $out > $lib"
    return here.derivation(name, script, shell, outputs=OUTPUTS, env={"outputs": "out lib"}, inputs=inputs)


def test_nothing_of_a_session_is_collected_before_its_end(here: Machine, shell: StorePath) -> None:
    store, done = here.store, threading.Event()
    store.add_temp_root(shell)

    def collect() -> int:
        deleted = 0
        while not done.is_set():
            deleted += store.collect(Keep(), Goal()).deleted
        return deleted

    with ThreadPoolExecutor(1) as pool:
        collector = pool.submit(collect)
        try:
            for number in range(3):
                with store.temp_roots.session():
                    first = two(here, f"first-{number}", shell)
                    second = two(here, f"second-{number}", shell, first)
                    third = two(here, f"third-{number}", shell, second)
                    (result,) = here.build(third)
                    assert result.status is BuildStatus.BUILT, result.message
                    for drv in (first, second, third):
                        assert all(store.is_there(path) for path in store.derivation_outputs(drv).values())
        finally:
            done.set()
        assert collector.result(PATIENCE) > 0
    store.collect(Keep(), Goal())
    assert store.closure([shell]) == set(store.all_valid_paths())


def test_all_outputs_of_what_is_to_be_built_are_temporary_roots(here: Machine, shell: StorePath) -> None:
    from fruix.building.plan.goals import plan

    drv = two(here, "some", shell)
    outputs = set(here.store.derivation_outputs(drv).values())
    with here.store.temp_roots.session() as roots:
        assert here.builder.missing([DerivedPath(drv, ("lib",))]).will_build == {drv}
        assert roots == set(), "a question keeps nothing"
        plan(here.store, [DerivedPath(drv, ("lib",))])
        assert roots >= {drv, *outputs}
