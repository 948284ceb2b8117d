"""The global queue: one build per derivation however many clients ask, and a bounded number of them at once.

Sessions submit derivations whose inputs are ready and get a job, new or shared. Shared is what is
built in the same way: in the same mode, as often, under the same contract (another world's rules
may let something pass that this client's forbid).

Slots are counted per kind (`build`, `download`): a slow mirror holds up no compiler. Who gets a
free one: `building.turns`. Threads are started when there is something to run and are reused.
Costs: one lock, held for a few dictionary operations.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from fruix.building.plan.goal import BUILD, contract_name, slots_of
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.fair_share import Line, Turns
from fruix.building.queue.fleet import Fleet
from fruix.building.queue.job import Job
from fruix.building.settings import BuildSettings
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.substitutes.substituter import Offer
from fruix.threads import Thread

_log = logging.getLogger(__name__)
_NO_THREAD = "no thread for builds can be started: the daemon has reached a limit on processes"


ELSEWHERE = "elsewhere"  # slots for builds on other machines, which come from the queue of those here
_Key = tuple[StorePath, BuildMode, int, str, Inbox | None]
CANCELLED = BuildResult(BuildStatus.MISC_FAILURE, "cancelled")
# Its machine was lost: another one may do it, or this one. To be told by identity.
AGAIN = BuildResult(BuildStatus.TRANSIENT_FAILURE, "to be tried elsewhere")
# What would have been built, had the daemon not been ending; to be told by identity.
NOT_BEGUN = BuildResult(
    BuildStatus.TRANSIENT_FAILURE,
    "not begun, since the daemon is ending: ask again when it has been started anew",
)


def _key(path: StorePath, derivation: Derivation, options: BuildOptions, alone: Inbox | None) -> _Key:
    """Requests with the same key can share a build; of something impure each gets its own."""
    return path, options.mode, options.rounds, contract_name(derivation, options.contract), alone


def _line(inbox: Inbox, options: BuildOptions) -> Line:
    return options.requester.uid if options.requester else None, inbox


class Scheduler:
    """Runs jobs on threads of its own, at most `slots[kind]` of a kind at once."""

    def __init__(
        self,
        run: Callable[[Job], BuildResult],
        slots: Mapping[str, int],
        fleet: Fleet | None = None,
        *,
        per_user: int = 0,
    ) -> None:
        """`fleet`: other machines. `per_user`: how many of each kind may run for one user (0: any number)."""
        self._run = run
        self._fleet = fleet or Fleet(BuildSettings())
        self._slots = dict(slots)
        busy: set[StorePath] = set()
        self._queues: dict[str, Turns] = {kind: Turns(busy, per_user) for kind in slots}
        if ELSEWHERE in slots:
            self._queues[ELSEWHERE] = self._queues[BUILD]
        self._idle = dict.fromkeys(slots, 0)
        self._threads: dict[str, list[threading.Thread]] = {kind: [] for kind in slots}
        self._jobs: dict[_Key, Job] = {}
        self._changed = threading.Condition()
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
        """The job that builds `path`, or fetches what is offered.

        A running or waiting one if there is one that does the same, else a new one.
        """
        with self._changed:
            if self._closing:
                raise FruixError("the daemon is shutting down", hint="ask again when it has been restarted")
            alone = inbox if derivation.is_impure else None
            key, queue = _key(path, derivation, options, alone), self._queues[slots_of(kind)]
            job = self._jobs.get(key)
            if job is None or not job.join(inbox, options):
                job = Job(path, derivation, options, kind, offer, alone)
                if kind == BUILD:
                    self._fleet.prepare(job)
                job.join(inbox, options)
                if self._draining:
                    job.finish(NOT_BEGUN)
                    return job
                self._jobs[key] = job
            queue.add(job, _line(inbox, options))
            try:
                self._start_thread(slots_of(kind))
                if job.machines:
                    self._start_thread(ELSEWHERE)
            except RuntimeError as error:
                self._withdraw(job, BuildResult(BuildStatus.MISC_FAILURE, _NO_THREAD))
                raise FruixError(_NO_THREAD, hint="raise the limits that the daemon runs under") from error
            self._changed.notify_all()
            return job

    def leave(self, job: Job, inbox: Inbox, options: BuildOptions) -> None:
        """Somebody doesn't wait any more.

        A job that nobody wants is cancelled; one that didn't have its turn yet ends here.
        """
        with self._changed:
            job.leave(inbox)
            queue = self._queues[slots_of(job.kind)]
            queue.leave(job, _line(inbox, options))
            if job.cancelled and queue.is_waiting(job):
                self._withdraw(job, CANCELLED)
            self._changed.notify_all()  # somebody's load is another one now

    def _withdraw(self, job: Job, result: BuildResult) -> None:
        """It isn't to be run."""
        self._queues[slots_of(job.kind)].remove(job)
        self._forget(job)
        job.finish(result)

    def _forget(self, job: Job) -> None:
        key = _key(job.path, job.derivation, job.options, job.alone)
        if self._jobs.get(key) is job:
            del self._jobs[key]

    def may_go(self, derivation: Derivation, options: BuildOptions) -> bool:
        """Whether one of a request's machines can build a derivation."""
        return not all(self._fleet.suitable(derivation, options).values())

    def jobs(self) -> list[Job]:
        """All that run, or wait and are wanted, oldest first; those that are answered have ended."""
        with self._changed:
            jobs = [
                job
                for job in self._all()
                if job.result is None and (not self._is_waiting(job) or job.is_wanted())
            ]
        return sorted(jobs, key=lambda job: job.submitted)

    def _is_waiting(self, job: Job) -> bool:
        return self._queues[slots_of(job.kind)].is_waiting(job)

    def _all(self) -> list[Job]:
        return [job for queue in dict.fromkeys(self._queues.values()) for job in queue.jobs()]

    def drain(self) -> None:
        """Begin no more jobs; returns when none runs.

        Those that wait end as `NOT_BEGUN`, and so does what is submitted from now on.
        """
        with self._changed:
            self._draining = True
            for job in self._all():
                if self._is_waiting(job):
                    self._withdraw(job, NOT_BEGUN)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or not self._all())

    def close(self) -> None:
        """Cancel everything and wait until the last build has been cleaned up."""
        with self._changed:
            self._closing = True
            for job in self._all():
                job.cancel()
                if self._is_waiting(job):
                    self._withdraw(job, CANCELLED)
            self._changed.notify_all()
        for threads in self._threads.values():
            for thread in threads:
                thread.join()

    def _start_thread(self, kind: str) -> None:
        """One more, if there is need and room.

        Raises:
            RuntimeError: the system gives us no thread, and there is none that could do the work.
        """
        threads = self._threads[kind]
        if self._idle[kind] < len(self._queues[kind]) and len(threads) < self._slots[kind]:
            thread = Thread(
                target=self._work,
                args=(kind,),
                name=f"{kind}-{len(threads)}",
            )
            try:
                thread.start()
            except RuntimeError:
                if not threads:
                    raise
                _log.warning("no further thread for %ss can be started: %d go on", kind, len(threads))
            else:
                threads.append(thread)

    def _work(self, kind: str) -> None:
        while (job := self._next(kind)) is not None:
            result = self._guarded(job)
            if result is not AGAIN:
                self._answer(job, result)
            with self._changed:
                self._queues[kind].done(job)
                if result is AGAIN:
                    self._try_again(job)
                self._changed.notify_all()  # its outputs and its users' shares are free

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
            self._queues[slots_of(job.kind)].add(job, _line(listener.inbox, listener.options))
        return bool(waiting)

    def _take(self, kind: str) -> Job | None:
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
                    self._changed.wait()
                return job
            finally:
                self._idle[kind] -= 1

    def _guarded(self, job: Job) -> BuildResult:
        if job.cancel_if_unwanted():
            return CANCELLED
        try:
            job.begin()
        except OSError as error:  # no descriptors left
            text = f"cannot build '{job.path}': {error.strerror}"
            return BuildResult(BuildStatus.MISC_FAILURE, text)
        try:
            return self._run(job)
        except Exception as error:  # noqa: BLE001 - a bug must leave nobody waiting, and the thread goes on
            _log.exception("building %s", job.path)
            text = f"cannot build '{job.path}': internal error: {type(error).__name__}: {error}"
            return BuildResult(BuildStatus.MISC_FAILURE, text)
