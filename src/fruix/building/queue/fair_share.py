"""Whose turn it is: jobs that wait for a slot, by who asked for them.

The next job is one of the user with the lightest load; among the requests of one user, of the
request with the lightest; among equals, of the one that was served longest ago. So a request of one
job waits for at most one build to end, however many goals or connections others have, and whoever
is alone gets all slots. A job that several wait for stands in the line of each, and while it runs
it weighs on each of them with an equal share: nobody's load is lightened or burdened by who asked
first, or by who has left.

A running build can't be taken back, so a limit for each user keeps slots free for those who come
later. Jobs with an output in common never run side by side: the later one would only hold a slot to
wait for the other's lock.

Costs: a look at each running job and at each request that has something waiting, per job that
starts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fruix.building.queue.event_queue import Inbox
    from fruix.building.queue.job import Job
    from fruix.model.build_options import BuildOptions
    from fruix.model.storepath import StorePath

Line = tuple[Hashable, Hashable]  # user, request
_WHOLE = 1 - 1e-9  # shares of a job are fractions whose sum may fall a little short


def line_of(inbox: Inbox, options: BuildOptions) -> Line:
    """Where a request waits."""
    return options.requester.uid if options.requester else None, inbox


class Turns:
    """Of one kind of slots. Not thread-safe: its owner has a lock."""

    def __init__(self, busy: set[StorePath] | None = None, per_user: int = 0) -> None:
        """`busy`: outputs of jobs that run, of all kinds of slots.

        `per_user`: what load one user may have (0: any).
        """
        self._lines: dict[
            Line, dict[Job, None]
        ] = {}  # in the order in which they were served, longest ago first
        self._waiting: dict[Job, set[Line]] = {}
        self._running: dict[Job, set[Line]] = {}
        self._resting: set[Job] = set()  # of those, which weigh on nobody
        self._busy: set[StorePath] = set() if busy is None else busy
        self._per_user = per_user

    def __len__(self) -> int:
        return len(self._waiting)

    def is_waiting(self, job: Job) -> bool:
        """Whether it has not been taken yet."""
        return job in self._waiting

    def jobs(self) -> list[Job]:
        """All that run or wait."""
        return [*self._running, *self._waiting]

    def add(self, job: Job, line: Line) -> None:
        """Somebody wants a job.

        It waits, in one more line if it does already; one that runs counts as load of this line
        too.
        """
        if job in self._running:
            self._running[job].add(line)
            return
        self._waiting.setdefault(job, set()).add(line)
        self._lines.setdefault(line, {})[job] = None

    def leave(self, job: Job, line: Line) -> None:
        """One doesn't want it any more, others do.

        What runs weighs on the last one until it has ended.
        """
        lines = self._waiting.get(job) or self._running.get(job, set())
        if line in lines and len(lines) > 1:
            lines.remove(line)
            if job in self._waiting:
                self._drop(job, line)

    def remove(self, job: Job) -> None:
        """It doesn't wait any more."""
        for line in self._waiting.pop(job, ()):
            self._drop(job, line)

    def take(self, fits: Callable[[Job], bool] = lambda _: True) -> Job | None:
        """The job whose turn it is, of those that fit; it counts as running until `done`.

        None if there is none that could run now.
        """
        users, requests = self._loads()
        found: tuple[tuple[float, float], Line, Job] | None = None
        for line in self._lines:
            load = (users[line[0]], requests[line])
            if self._per_user and load[0] > self._per_user - _WHOLE:
                continue
            if (found is None or load < found[0]) and (job := self._first(line, fits)) is not None:
                found = load, line, job
        if found is None:
            return None
        _, line, job = found
        lines = self._waiting[job]
        self.remove(job)
        self._running[job] = lines
        self._busy |= job.outputs
        if line in self._lines:
            self._lines[line] = self._lines.pop(line)  # served last
        return job

    def rest(self, job: Job, *, begin: bool) -> None:
        """A running job begins, or ends, to wait for others that its builder has asked for."""
        (self._resting.add if begin else self._resting.discard)(job)

    def done(self, job: Job) -> None:
        """A job that was taken has ended."""
        del self._running[job]
        self._resting.discard(job)
        self._busy -= job.outputs

    def _first(self, line: Line, fits: Callable[[Job], bool]) -> Job | None:
        jobs = (job for job in self._lines[line] if self._busy.isdisjoint(job.outputs))
        return next((job for job in jobs if fits(job)), None)

    def _drop(self, job: Job, line: Line) -> None:
        jobs = self._lines[line]
        del jobs[job]
        if not jobs:
            del self._lines[line]

    def _loads(self) -> tuple[dict[Hashable, float], dict[Line, float]]:
        """By user and by request: how many running jobs, in shares."""
        users: dict[Hashable, float] = defaultdict(float)
        requests: dict[Line, float] = defaultdict(float)
        for job, lines in self._running.items():
            if job in self._resting:
                continue
            among = {user for user, _ in lines}
            for user in among:
                users[user] += 1 / len(among)
            for line in lines:
                requests[line] += 1 / len(lines)
        return users, requests
