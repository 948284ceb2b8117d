"""One request being met: goals handed to the scheduler as their inputs become ready, results gathered.

Runs on the session's own thread, which is the only one that calls `on_event`. Without keep-going the first
failure makes the others be given up (jobs that nobody else waits for are cancelled); with it everything that can be
done is done. A failed goal fails those that need it with DEPENDENCY_FAILED, naming the root cause once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from fruix.build.goals import Goal, Plan, kind_of
from fruix.build.scheduler import Inbox, Job, Scheduler
from fruix.build.settings import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.events import Event
from fruix.model.storepath import StorePath

# How often a waiting session looks whether its client is still there (seconds).
CANCEL_POLL = 0.2


class Realisation:
    """The state of one request; use `run()` once."""

    def __init__(
        self,
        plan: Plan,
        scheduler: Scheduler,
        options: BuildOptions,
        on_event: Callable[[Event], None],
        cancelled: threading.Event,
    ) -> None:
        self._waiting = dict(plan.goals)
        self._results = dict(plan.settled)
        self._scheduler = scheduler
        self._options = options
        self._on_event = on_event
        self._cancelled = cancelled
        self._inbox: Inbox = SimpleQueue()
        self._running: dict[StorePath, Job] = {}
        self._open: dict[StorePath, set[StorePath]] = {}
        self._dependents: dict[StorePath, list[Goal]] = {}

    def run(self) -> dict[StorePath, BuildResult]:
        """Work until every goal has a result; returns them by derivation path."""
        try:
            self._start()
            while self._running:
                self._step()
        finally:
            self._abandon()
        return self._results

    def _start(self) -> None:
        for goal in list(self._waiting.values()):
            for dependency in goal.dependencies:
                self._dependents.setdefault(dependency, []).append(goal)
            open_ones = {path for path in goal.dependencies if path not in self._results}
            self._open[goal.path] = open_ones
            if not open_ones:
                self._advance(goal)

    def _step(self) -> None:
        if self._cancelled.is_set():
            self._give_up("cancelled")
            return
        try:
            job, event = self._inbox.get(timeout=CANCEL_POLL)
        except Empty:
            return
        if event is not None:
            self._on_event(event)
        elif job.result is not None and self._running.pop(job.path, None) is not None:
            self._settle(job.path, job.result)

    def _settle(self, path: StorePath, result: BuildResult) -> None:
        """Note a result; whatever waited for it goes on. Iterative: failures spread along chains of any length."""
        settled = [(path, result)]
        while settled:
            path, result = settled.pop()
            self._results[path] = result
            if not result.success and not self._options.keep_going:
                self._give_up(f"not built, since '{path.name}' failed")
                return
            for goal in self._dependents.get(path, ()):
                self._open[goal.path].discard(path)
                if not self._open[goal.path] and (failure := self._advance(goal)) is not None:
                    settled.append((goal.path, failure))

    def _advance(self, goal: Goal) -> BuildResult | None:
        """All inputs of a goal have a result: start it, or return its failure."""
        if self._waiting.pop(goal.path, None) is None:
            return None
        if any(not self._results[path].success for path in goal.dependencies):
            failure = self._dependency_failure(goal)
            self._results[goal.path] = failure
            return failure
        self._submit(goal)
        return None

    def _submit(self, goal: Goal) -> None:
        kind = kind_of(goal.derivation)
        job = self._scheduler.submit(goal.path, goal.derivation, self._options, kind, self._inbox)
        self._running[goal.path] = job

    def _dependency_failure(self, goal: Goal) -> BuildResult:
        failed = [
            path
            for path in sorted(goal.dependencies)
            if path in self._results and not self._results[path].success
        ]
        plural = "dependency" if len(failed) == 1 else "dependencies"
        text = f"cannot build '{goal.path}': {len(failed)} {plural} failed ('{failed[0].name}'{', …' if failed[1:] else ''})"
        return BuildResult(BuildStatus.DEPENDENCY_FAILED, text)

    def _give_up(self, reason: str) -> None:
        for path in [*self._running, *self._waiting]:
            self._results.setdefault(path, BuildResult(BuildStatus.MISC_FAILURE, reason))
        self._waiting.clear()
        self._abandon()

    def _abandon(self) -> None:
        for job in self._running.values():
            job.leave(self._inbox)
        self._running.clear()
