"""A machine that sends builds to another one, which pretends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building.run.elsewhere.other_machine import LIST, Other
from fruix.building.settings import BuildSettings
from machine import Machine, machine
from waiting import until


@pytest.fixture(scope="module")
def other() -> Other:
    return Other()


@pytest.fixture(scope="module")
def one(other: Other) -> Iterator[Machine]:
    features = ("ca-derivations",)
    settings = BuildSettings(max_jobs=2, cores=2, machines=LIST, experimental_features=features)
    with machine(settings, other.connect) as made:
        yield made


@pytest.fixture
def here(one: Machine, other: Other) -> Iterator[Machine]:
    """The same machine for all tests; the other one is as new."""
    one.events.clear()
    one.builder._scheduler._fleet._resting.clear()
    other.__init__()  # type: ignore[misc]
    yield one
    until(lambda: not one.builder._scheduler.jobs(), "the end of what is cancelled")
    assert other.opened == 0
    assert not +one.builder._scheduler._fleet._running
