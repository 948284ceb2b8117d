"""Schedulers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from building.queue.jobs import Run
from fruix.building.queue.scheduler import Scheduler


@pytest.fixture
def make() -> Iterator[Callable[..., Scheduler]]:
    made: list[Scheduler] = []

    def scheduler(run: Run, jobs: int = 2) -> Scheduler:
        made.append(Scheduler(run, {"build": jobs, "download": 1}))
        return made[-1]

    yield scheduler
    for one in made:
        one.close()
