"""Jobs whose builders ask for builds themselves (recursive Nix): who waits for whom, and whose slot is lent.

A builder that waits for its own builds does nothing, so its slot is lent to them; otherwise as many
such builders as there are slots would wait for ever. Each still holds a build user, of which there
is a limited number, so only so many may lend at once.

A builder can ask for what waits for itself, as for its own derivation. That is refused when it
would begin to wait. So is what is impure: those who ask are not. Not thread-safe: the scheduler has
a lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from fruix.building.queue.fair_share import Turns
from fruix.building.queue.job import Job
from fruix.errors import BuildError, FruixError
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath

_LATER = "build again when less is built; more build users, or a lower 'max-jobs', let more of them wait"


class Nested:
    """Of one scheduler. `slots`: how many of a kind are lent."""

    def __init__(self, most_lent: int) -> None:
        self.slots: Counter[str] = Counter()
        self._most = most_lent
        self._lending: Counter[Job] = Counter()
        # The derivation whose builder asks → the jobs that it waits for, as often as it does.
        self._waits: dict[StorePath, Counter[Job]] = {}

    def lend(self, job: Job, kind: str, queue: Turns) -> None:
        """A running job waits, once more: meanwhile it weighs on nobody.

        Raises:
            FruixError: too many do.
        """
        if not self._lending[job] and len(self._lending) >= self._most:
            raise FruixError(f"{self._most} builders wait for builds of their own already", hint=_LATER)
        self._lending[job] += 1
        if self._lending[job] == 1:
            self.slots[kind] += 1
            queue.rest(job, begin=True)

    def take_back(self, job: Job, kind: str, queue: Turns) -> None:
        """It waits once less; after the last time it goes on."""
        self._lending[job] -= 1
        if not self._lending[job]:
            del self._lending[job]
            self.slots[kind] -= 1
            queue.rest(job, begin=False)

    def running(self, drv: StorePath, jobs: Collection[Job]) -> Job:
        """The one of the running jobs that builds a derivation; its outputs let no other one run.

        Raises:
            FruixError: there is none any more.
        """
        for job in jobs:
            if job.path == drv:
                return job
        raise FruixError(f"the build of '{drv}' has ended")

    def begin(self, inside: StorePath | None, job: Job) -> None:
        """The builder of a derivation (None: it is no builder who asks) waits for a job."""
        if inside is not None:
            self._waits.setdefault(inside, Counter())[job] += 1

    def end(self, inside: StorePath | None, job: Job) -> None:
        """It doesn't any more."""
        if inside is None:
            return
        waits = self._waits.get(inside, Counter[Job]())
        waits[job] -= 1
        if waits[job] <= 0:
            del waits[job]
        if not waits:
            self._waits.pop(inside, None)

    def check(
        self, inside: StorePath, path: StorePath, derivation: Derivation, jobs: Collection[Job]
    ) -> None:
        """Refuse to let the builder of `inside` wait for a derivation that waits for it.

        `jobs`: all that run or wait.

        Raises:
            BuildError: it does; or what is wanted is impure, which a builder can't be.
        """
        if derivation.is_impure:
            raise BuildError(f"the builder of '{inside}' can't have the impure derivation '{path}' built")
        asking = {job for job in jobs if job.path == inside}
        wanted = frozenset(derivation.output_paths.values())
        stack = [job for job in jobs if job.path == path or not wanted.isdisjoint(job.outputs)]
        seen: set[Job] = set()
        while stack:
            job = stack.pop()
            if job in seen:
                continue
            seen.add(job)
            for other in self._waits.get(job.path, ()):
                stack += [one for one in jobs if one is other or not other.outputs.isdisjoint(one.outputs)]
        if path == inside or asking & seen:
            raise BuildError(f"the builder of '{inside}' can't wait for '{path}': that waits for it")
