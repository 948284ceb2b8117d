"""Whose turn it is: jobs that wait for a slot, by who asked for them.

The next job is one of the user with the fewest running jobs of that kind; among the requests of one user, of the request with the fewest;
among equals, of the one that was served longest ago. So a request of one job waits for at most one build to end, however many
goals others have, and whoever is alone gets all slots. A job that several ask for stands in the line of each.

Costs: a look at each request that has something waiting, per job that starts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fruix.building.scheduler import Job

Line = tuple[Hashable, Hashable]  # user, request


class Turns:
    """Not thread-safe: its owner has a lock."""

    def __init__(self) -> None:
        self._lines: dict[Line, deque[Job]] = {}  # in the order in which they were served, longest ago first
        self._running: Counter[Hashable] = Counter()
        self._taken: dict[Job, Line] = {}
        self._waiting: set[Job] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: Job, line: Line) -> None:
        """Let a job wait, in one more line if it does already."""
        self._lines.setdefault(line, deque()).append(job)
        self._waiting.add(job)

    def remove(self, job: Job) -> None:
        """It doesn't wait any more."""
        self._waiting.discard(job)

    def is_waiting(self, job: Job) -> bool:
        """Whether it has not been taken yet."""
        return job in self._waiting

    def take(self) -> Job:
        """The job whose turn it is; it counts as running until `done`. There must be one."""
        for line in [line for line, jobs in self._lines.items() if not self._first(jobs)]:
            del self._lines[line]
        line = min(self._lines, key=lambda line: (self._running[line[0]], self._running[line]))
        job = self._lines[line].popleft()
        self._lines[line] = self._lines.pop(line)  # served last
        self._waiting.remove(job)
        self._taken[job] = line
        self._running.update((line[0], line))
        return job

    def _first(self, jobs: deque[Job]) -> Job | None:
        """The first that still waits; those that another line has been served are passed over."""
        while jobs and jobs[0] not in self._waiting:
            jobs.popleft()
        return jobs[0] if jobs else None

    def done(self, job: Job) -> None:
        """A job that was taken has ended."""
        line = self._taken.pop(job)
        for key in (line[0], line):
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]
