"""One request being met.

Goals handed to the scheduler as their inputs become ready, results gathered.

Runs on the session's own thread, which is the only one that calls `on_event`. Without keep-going
the first failure makes the others be given up (jobs that nobody else waits for are cancelled); with
it everything that can be done is done. A daemon that drains begins nothing more: what runs goes on,
and the rest is `NOT_BEGUN`; so is what needs a path that no binary cache delivered, if it may be
built then. A failed goal fails those that need it with DEPENDENCY_FAILED, naming
the root cause once.

At most `max_jobs` builds of the request run at once (downloads have slots of their own and don't
count, nor does what can't be built but on another machine). With 0 only derivations that prefer to
be built locally are built, one at a time, and those that are sent to other machines; when nothing
else is left the rest fails.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty

from fruix.building.failures import FailedError, failure_message
from fruix.building.plan.goal import BUILD, UNRESOLVED, Goal, Plan, slots_of
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.job import Job
from fruix.building.queue.outcomes import NOT_BEGUN
from fruix.building.queue.scheduler import Scheduler
from fruix.dataclass import replace
from fruix.errors import BadDerivationError, FruixError
from fruix.model import attributes
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.events import BuildFailed, Event
from fruix.model.reason_rows import OTHER
from fruix.model.reasons import Reason, reason
from fruix.model.storepath import StorePath

# Results of goals that were not even tried, for which nobody is to blame.
_POSTPONED = (NOT_BEGUN, UNRESOLVED)
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
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Take a plan; `on_wait` is called on the same thread when no event is there any more."""
        self._waiting = dict(plan.goals)
        self._results = dict(plan.settled)
        self._scheduler = scheduler
        self._options = options
        self._on_event = on_event
        self._cancelled = cancelled
        self._on_wait = on_wait
        self._reasons = dict(plan.reasons)
        self._told = {path for path, result in plan.earlier.items() if not result.success}
        self._inbox = Inbox(cancelled.is_set)
        self._ready: deque[Goal] = deque()
        self._downloads: deque[Goal] = deque()
        self._stuck: deque[Goal] = deque()  # will never have their turn
        self._sendable: deque[Goal] = deque()  # a machine of the request can build them
        self._sent: set[StorePath] = set()  # are not to be built here
        self._running: dict[StorePath, Job] = {}
        self._open: dict[StorePath, int] = {}  # how many of its inputs have no result
        self._dependents: dict[StorePath, list[Goal]] = {}
        self.refused: set[StorePath] = set()  # offers that were not delivered, if that is no failure

    def run(self) -> dict[StorePath, BuildResult]:
        """Work until every goal has a result; returns them by derivation path."""
        try:
            self._start()
            while self._running:
                self._step()
            for goal in self._waiting.values():
                self._fail(goal, BuildStatus.MISC_FAILURE, reason(OTHER, text="its inputs need each other"))
        finally:
            self._abandon()
        return self._results

    def _start(self) -> None:
        failed = [path for path, result in self._results.items() if not result.success]
        for path in failed:
            if path not in self._told:
                self._emit_failure(path)
        goals = list(self._waiting.values())
        for goal in goals:
            for dependency in goal.dependencies:
                self._dependents.setdefault(dependency, []).append(goal)
            self._open[goal.path] = sum(path not in self._results for path in goal.dependencies)
        if failed and not self._options.keep_going:
            self._fail_above(failed[0])
            self._give_up(f"not built, since '{failed[0].name}' failed")
            return
        for goal in goals:
            if not self._open[goal.path] and self._advance(goal) is not None:
                self._settle(goal.path)
        self._fill()

    def _step(self) -> None:
        if self._cancelled.is_set():
            self._give_up("cancelled")
            return
        if self._inbox.is_empty():
            self._on_wait()
        try:
            path, event = self._inbox.get(timeout=CANCEL_POLL)
        except Empty:
            return
        if not isinstance(event, BuildResult):
            self._on_event(event)
        elif (job := self._running.pop(path, None)) is not None:
            self._leave(job)  # it may go on for others
            if job.offer is not None and not event.success and self._options.substitutes.fallback:
                self.refused.add(path)  # what needs it is to be planned anew
                event = NOT_BEGUN
            self._results[path] = event
            self._settle(path)
            self._fill()

    def _settle(self, path: StorePath) -> None:
        """A goal has a result; whatever waited for it goes on.

        Iterative: failures spread along chains of any length.
        """
        settled = [path]
        while settled:
            path = settled.pop()
            result = self._results[path]
            if not result.success and not is_postponed(result) and not self._options.keep_going:
                self._fail_above(path)
                self._give_up(f"not built, since '{path.name}' failed")
                return
            for goal in self._dependents.get(path, ()):
                self._open[goal.path] -= 1
                if not self._open[goal.path] and self._advance(goal) is not None:
                    settled.append(goal.path)

    def _advance(self, goal: Goal) -> BuildResult | None:
        """All inputs of a goal have a result: let it wait for its turn, or return its failure."""
        if self._waiting.pop(goal.path, None) is None:
            return None
        failed = [path for path in sorted(goal.dependencies) if not self._results[path].success]
        if not failed and goal.unresolved:
            self._results[goal.path] = UNRESOLVED
            return UNRESOLVED
        if not failed:
            self._queue_of(goal).append(goal)
            return None
        for postponed in _POSTPONED:
            if any(self._results[path] is postponed for path in failed):
                self._results[goal.path] = postponed
                return postponed
        noun = "dependency" if len(failed) == 1 else "dependencies"
        why = reason("dependencies", count=len(failed), noun=noun, first=failed[0].name)
        return self._fail(goal, BuildStatus.DEPENDENCY_FAILED, why)

    def _queue_of(self, goal: Goal) -> deque[Goal]:
        """Where a goal whose inputs are there waits."""
        if slots_of(goal.kind) != BUILD:
            return self._downloads
        if goal.kind != BUILD:
            return self._ready  # no other machine makes it
        if self._options.machines and self._scheduler.may_go(goal.derivation, self._goal_options(goal)):
            return self._sendable
        if self._options.max_jobs == 0 and not prefers_here(goal.derivation):
            return self._stuck
        return self._ready

    def _fill(self) -> None:
        """Hand over as many of the goals that are ready as the request may have running."""
        while self._downloads:
            self._submit(self._downloads.popleft())
        share = self._options.max_jobs
        jobs = [job for path, job in self._running.items() if path not in self._sent]
        running = sum(slots_of(job.kind) == BUILD for job in jobs)
        while self._ready and (share is None or running < max(share, 1)):
            running += self._submit(self._ready.popleft())
        while self._sendable:
            goal = self._sendable.popleft()
            here = share is None or running < share
            if not here:
                self._sent.add(goal.path)
            running += self._submit(goal, here=here) and here
        while self._stuck and not self._running:
            goal = self._stuck.popleft()
            self._fail(goal, BuildStatus.MISC_FAILURE, reason("no-slots"))
            self._settle(goal.path)

    def _goal_options(self, goal: Goal) -> BuildOptions:
        return replace(self._options, mode=goal.mode)

    def _submit(self, goal: Goal, *, here: bool = True) -> bool:
        """False: its file, of which the plan read the head, is no derivation; it has failed."""
        options = replace(self._goal_options(goal), here=here)
        try:
            derivation = goal.derivation
        except FruixError as error:
            self._fail(goal, BuildStatus.INPUT_REJECTED, reason(OTHER, text=str(error)))
            self._settle(goal.path)
            return False
        self._running[goal.path] = self._scheduler.submit(
            goal.path, derivation, options, goal.kind, self._inbox, goal.offer
        )
        return True

    def _fail(self, goal: Goal, status: BuildStatus, why: Reason) -> BuildResult:
        """A goal that isn't even tried."""
        self._results[goal.path] = _untried(goal, status, why)
        self._reasons[goal.path] = why
        self._emit_failure(goal.path)
        return self._results[goal.path]

    def _fail_above(self, failed: StorePath) -> None:
        """What needs a failed goal, directly or not, has failed for that; nobody is told of each."""
        stack = [failed]
        while stack:
            below = stack.pop()
            why = reason("dependencies", count=1, noun="dependency", first=below.name)
            for goal in self._dependents.get(below, ()):
                if goal.path not in self._results:
                    self._results[goal.path] = _untried(goal, BuildStatus.DEPENDENCY_FAILED, why)
                    stack.append(goal.path)

    def _emit_failure(self, path: StorePath) -> None:
        """Of a failure that no job tells of."""
        result = self._results[path]
        why = self._reasons.get(path) or reason(OTHER, text=result.message)
        self._on_event(BuildFailed(path, result.status, result.message, 0.0, why))

    def _give_up(self, why: str) -> None:
        queues = (self._ready, self._downloads, self._sendable, self._stuck)
        ready = [goal.path for queue in queues for goal in queue]
        for path in [*self._running, *self._waiting, *ready]:
            self._results.setdefault(path, BuildResult(BuildStatus.MISC_FAILURE, why))
        self._waiting.clear()
        for queue in queues:
            queue.clear()
        self._abandon()

    def _abandon(self) -> None:
        for job in self._running.values():
            self._leave(job)
        self._running.clear()

    def _leave(self, job: Job) -> None:
        self._scheduler.leave(job, self._inbox, self._options)


def is_postponed(result: BuildResult) -> bool:
    """Whether a goal wasn't even tried, and may be another time."""
    return any(result is one for one in _POSTPONED)


def _untried(goal: Goal, status: BuildStatus, why: Reason) -> BuildResult:
    outputs = [path for path in goal.outputs.values() if path is not None]
    return BuildResult(status, failure_message(goal.path, outputs, FailedError(goal.path, why), ()))


def prefers_here(derivation: Derivation) -> bool:
    """Whether it isn't worth to be built anywhere but on this machine."""
    try:
        return attributes.read(derivation).prefer_local
    except BadDerivationError:
        return False  # its build will say what is wrong
