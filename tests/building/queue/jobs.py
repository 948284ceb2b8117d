"""Jobs of no derivation in particular, and what tests of the queue do with them."""

from __future__ import annotations

from collections.abc import Callable

from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.building.queue.scheduler import Scheduler
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from waiting import PATIENCE, until

STORE = "/frx/store"


def path(name: str) -> StorePath:
    return StorePath.of(STORE, "0" * 32 + f"-{name}.drv")


def derivation(name: str) -> Derivation:
    return Derivation(name, {}, {}, (), "x86_64-linux", "/bin/sh", (), {})


Run = Callable[[Job], BuildResult]


def ok(job: Job) -> BuildResult:
    del job
    return BuildResult(BuildStatus.BUILT)


def end(inbox: Inbox) -> BuildResult:
    """The result of the next job that ends."""

    def result() -> BuildResult | None:
        event = inbox.get(timeout=PATIENCE)[1]
        return event if isinstance(event, BuildResult) else None

    return until(result, "a result")


def submit(scheduler: Scheduler, name: str, inbox: Inbox) -> Job:
    return scheduler.submit(path(name), derivation(name), BuildOptions(), "build", inbox)
