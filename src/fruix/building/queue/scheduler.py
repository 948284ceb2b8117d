"""The global queue: one build per derivation however many clients ask, and a bounded number of them at once.

Sessions submit derivations whose inputs are ready and get a job, new or shared. Shared is what is
built in the same way: in the same mode, as often, under the same contract (another world's rules
may let something pass that this client's forbid).

Slots are counted per kind (`build`, `download`): a slow mirror holds up no compiler. Who gets a
free one: `queue.fair_share`. Threads are started when there is something to run and are reused. A
job whose builder waits for builds that it has asked for itself lends its slot meanwhile
(`queue.nested`).
Costs: one lock, held for a few dictionary operations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from fruix.building.plan.goal import BUILD, slots_of
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.fair_share import Turns, line_of
from fruix.building.queue.fleet import Fleet
from fruix.building.queue.job import Job, Key, key_of
from fruix.building.queue.nested import Nested
from fruix.building.queue.outcomes import AGAIN, CANCELLED, NOT_BEGUN
from fruix.building.settings import BuildSettings
from fruix.errors import FruixError
from fruix.log import Log
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.substitutes.substituter import Offer
from fruix.threads import Thread

_log = Log(__name__)
_NO_THREAD = "no thread for builds can be started: the daemon has reached a limit on processes"
ELSEWHERE = "elsewhere"  # slots for builds on other machines, which come from the queue of those here


class Scheduler:
    """Runs jobs on threads of its own, at most `slots[kind]` of a kind at once."""

    def __init__(
        self,
        run: Callable[[Job], BuildResult],
        slots: Mapping[str, int],
        fleet: Fleet | None = None,
        *,
        per_user: int = 0,
        most_lent: int = 1,
    ) -> None:
        """`fleet`: other machines. `per_user`: how many of each kind may run for one user (0: any number).

        `most_lent`: how many jobs may lend their slots at once.
        """
        self._run = run
        self._fleet = fleet or Fleet(BuildSettings())
        self._slots = dict(slots)
        busy: set[StorePath] = set()
        self._queues: dict[str, Turns] = {kind: Turns(busy, per_user) for kind in slots}
        if ELSEWHERE in slots:
            self._queues[ELSEWHERE] = self._queues[BUILD]
        self._idle = dict.fromkeys(slots, 0)
        self._threads: dict[str, list[threading.Thread]] = {kind: [] for kind in slots}
        self._jobs: dict[Key, Job] = {}
        self._nested = Nested(most_lent)
        lock = threading.RLock()
        self._changed = threading.Condition(lock)  # of which `drain` is told
        self._ready = {kind: threading.Condition(lock) for kind in slots}  # and of which idle threads are
        self._closing = False
        self._draining = False

    def submit(
        self,
        path: StorePath,
        derivation: Derivation,
        options: BuildOptions,
        kind: str,
        inbox: Inbox,
        offer: Offer | None = None,
    ) -> Job:
        """The job that builds `path` or fetches what is offered: one that does the same, or a new one."""
        with self._changed:
            if self._closing:
                raise FruixError("the daemon is shutting down", hint="ask again when it has been restarted")
            if options.inside is not None:
                self._nested.check(options.inside, path, derivation, self._all())
            alone = inbox if derivation.is_impure else None
            key, queue = key_of(path, derivation, options, alone), self._queues[slots_of(kind)]
            job = self._jobs.get(key)
            if job is None or not job.join(inbox, options):
                job = Job(path, derivation, options, kind, offer, alone)
                if kind == BUILD:
                    self._fleet.prepare(job)
                job.join(inbox, options)
                if self._draining and options.inside is None:
                    job.finish(NOT_BEGUN)
                    return job
                self._jobs[key] = job
            queue.add(job, line_of(inbox, options))
            self._nested.begin(options.inside, job)
            try:
                self._start_thread(slots_of(kind))
                if job.machines:
                    self._start_thread(ELSEWHERE)
            except RuntimeError as error:
                self._withdraw(job, BuildResult(BuildStatus.MISC_FAILURE, _NO_THREAD))
                raise FruixError(_NO_THREAD, hint="raise the limits that the daemon runs under") from error
            self._wake()
            return job

    def leave(self, job: Job, inbox: Inbox, options: BuildOptions) -> None:
        """Somebody doesn't wait any more.

        A job that nobody wants is cancelled; one that didn't have its turn yet ends here.
        """
        with self._changed:
            self._nested.end(options.inside, job)
            job.leave(inbox)
            queue = self._queues[slots_of(job.kind)]
            queue.leave(job, line_of(inbox, options))
            if job.cancelled and queue.is_waiting(job):
                self._withdraw(job, CANCELLED)
            self._wake()  # somebody's load is another one now

    def _withdraw(self, job: Job, result: BuildResult) -> None:
        """It isn't to be run."""
        self._queues[slots_of(job.kind)].remove(job)
        self._forget(job)
        job.finish(result)

    def _forget(self, job: Job) -> None:
        key = key_of(job.path, job.derivation, job.options, job.alone)
        if self._jobs.get(key) is job:
            del self._jobs[key]

    def may_go(self, derivation: Derivation, options: BuildOptions) -> bool:
        """Whether one of a request's machines can build a derivation."""
        return not all(self._fleet.suitable(derivation, options).values())

    def jobs(self) -> list[Job]:
        """All that run, or wait and are wanted, oldest first; those that are answered have ended."""
        with self._changed:
            jobs = [job for job in self._all() if job.result is None]
            jobs = [job for job in jobs if not self._is_waiting(job) or job.is_wanted()]
        return sorted(jobs, key=lambda job: job.submitted)

    def _is_waiting(self, job: Job) -> bool:
        return self._queues[slots_of(job.kind)].is_waiting(job)

    def _all(self) -> list[Job]:
        return [job for queue in dict.fromkeys(self._queues.values()) for job in queue.jobs()]

    def drain(self) -> None:
        """Begin no more jobs; returns when none runs.

        Those that wait end as `NOT_BEGUN`, and so does what is submitted from now on, but for what
        builders ask for that run.
        """
        with self._changed:
            self._draining = True
            for job in self._all():
                if self._is_waiting(job) and not job.is_nested():
                    self._withdraw(job, NOT_BEGUN)
            self._changed.wait_for(lambda: self._closing or not self._all())

    def close(self) -> None:
        """Cancel everything and wait until the last build has been cleaned up."""
        with self._changed:
            self._closing = True
            for job in self._all():
                job.cancel()
                if self._is_waiting(job):
                    self._withdraw(job, CANCELLED)
            for changed in (self._changed, *self._ready.values()):
                changed.notify_all()
        for threads in self._threads.values():
            for thread in threads:
                thread.join()

    @contextmanager
    def lent(self, drv: StorePath) -> Iterator[None]:
        """Meanwhile the builder of a running job waits for others, which may have its slot.

        Others may be in it when this ends; then one more runs for a while.

        Raises:
            FruixError: too many do so already.
        """
        with self._changed:
            job = self._nested.running(drv, [job for job in self._all() if not self._is_waiting(job)])
            kind = slots_of(job.kind)
            self._nested.lend(job, kind, self._queues[kind])
            self._start_thread(kind)
            self._wake()
        try:
            yield
        finally:
            with self._changed:
                self._nested.take_back(job, kind, self._queues[kind])

    def _room(self, kind: str) -> int:
        return self._slots[kind] + self._nested.slots[kind]

    def _start_thread(self, kind: str) -> None:
        """One more, if there is need and room. RuntimeError: the system gives none, and there is none."""
        threads = self._threads[kind]
        if self._idle[kind] < len(self._queues[kind]) and len(threads) < self._room(kind):
            thread = Thread(target=self._work, args=(kind,), name=f"{kind}-{len(threads)}")
            try:
                thread.start()
            except RuntimeError:
                if not threads:
                    raise
                _log.warning("no further thread for %ss can be started: %d go on", kind, len(threads))
            else:
                threads.append(thread)

    def _wake(self) -> None:
        """Something has changed: as many threads look as jobs wait, since each costs those that work."""
        self._changed.notify_all()
        for kind, queue in self._queues.items():
            if self._idle[kind] and len(queue):
                self._ready[kind].notify(len(queue))

    def _work(self, kind: str) -> None:
        while (job := self._next(kind)) is not None:
            result = self._guarded(job)
            if result is not AGAIN:
                self._answer(job, result)
            with self._changed:
                self._queues[kind].done(job)
                if result is AGAIN:
                    self._try_again(job)
                self._wake()  # its outputs and its users' shares are free

    def _answer(self, job: Job, result: BuildResult) -> None:
        """Tell all, then tidy up; nothing else is made of its outputs before that is done."""
        with self._changed:
            self._fleet.done(job, lost=False)  # there nothing is left to do
            self._forget(job)
            job.finish(result)
        if job.behind is not None:
            try:
                job.behind()
            except Exception:  # noqa: BLE001 - all have been told, and the thread goes on
                _log.exception("tidying up after %s", job.path)

    def _try_again(self, job: Job) -> None:
        """Its machine was lost."""
        self._fleet.done(job, lost=True)
        if not self._queue_again(job):
            self._forget(job)
            job.finish(CANCELLED)

    def _queue_again(self, job: Job) -> bool:
        """Let it wait for another machine, or this one; False: nobody wants it any more."""
        job.pause()
        waiting = [] if self._closing else job.waiting()
        for listener in waiting:
            self._queues[slots_of(job.kind)].add(job, line_of(listener.inbox, listener.options))
        return bool(waiting)

    def _take(self, kind: str) -> Job | None:
        if len(self._threads[kind]) - self._idle[kind] >= self._room(kind):
            return None  # this thread is one for slots that are lent
        if kind != ELSEWHERE:
            if (job := self._queues[kind].take(self._fleet.may_stay)) is not None:
                self._fleet.keep(job)
        elif (job := self._queues[kind].take(self._fleet.may_go)) is not None:
            self._fleet.send(job)
        return job

    def _next(self, kind: str) -> Job | None:
        with self._changed:
            self._idle[kind] += 1
            try:
                while (job := self._take(kind)) is None:
                    if self._closing:
                        return None
                    self._ready[kind].wait()
                return job
            finally:
                self._idle[kind] -= 1

    def _guarded(self, job: Job) -> BuildResult:
        if job.cancel_if_unwanted():
            return CANCELLED
        try:
            job.begin()
        except OSError as error:  # no descriptors left
            return BuildResult(BuildStatus.MISC_FAILURE, f"cannot build '{job.path}': {error.strerror}")
        try:
            return self._run(job)
        except Exception as error:  # noqa: BLE001 - a bug must leave nobody waiting, and the thread goes on
            _log.exception("building %s", job.path)
            text = f"cannot build '{job.path}': internal error: {type(error).__name__}: {error}"
            return BuildResult(BuildStatus.MISC_FAILURE, text)
