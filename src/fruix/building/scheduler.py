"""The global queue: one build per derivation however many clients ask, and a bounded number of them at once.

A `Job` is one derivation being built. Sessions submit derivations whose inputs are ready and get a job, new or shared; what
happens to it arrives in the session's own inbox (`build.inbox`), so that a session's thread alone writes to its client. A job that nobody waits for any more is cancelled.

Slots are counted per kind (`build`, `download`): a slow mirror holds up no compiler. Who gets a free one: `build.turns`. Threads are started when there is
something to run and are reused. Costs: one lock, held for a few dictionary operations.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fruix.building.inbox import Inbox
from fruix.building.settings import Asker, BuildOptions
from fruix.building.turns import Turns
from fruix.errors import FruixError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.events import BuilderExited, BuildQueued, BuildStarted, Event, PhaseStarted
from fruix.model.storepath import StorePath

_log = logging.getLogger(__name__)
_NO_THREAD = "no thread for builds can be started: the daemon has reached a limit on processes"


@dataclass(eq=False, slots=True)
class Job:
    """One derivation being built, for one or more sessions."""

    path: StorePath
    derivation: Derivation
    options: BuildOptions
    kind: str
    listeners: dict[Inbox, Asker | None] = field(default_factory=dict)
    result: BuildResult | None = None
    submitted: float = field(default_factory=time.time)
    started: float = 0.0
    cancelled: bool = False
    keep_failed: bool = False  # somebody who asks wants what is left if it fails
    keeper: Asker | None = None  # the first who does
    waker: int = -1  # once it has begun: readable when the job is cancelled
    _replay: dict[type[Event], Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wake: int = -1

    def __post_init__(self) -> None:
        self._replay[BuildQueued] = BuildQueued(self.path, self.kind, self.submitted)

    def join(self, inbox: Inbox, asker: Asker | None = None) -> None:
        """Listen; a late listener is first told what it missed that matters (start, phase)."""
        with self._lock:
            self.listeners[inbox] = asker
            for event in self._replay.values():
                inbox.put(self, event)
            if self.result is not None:
                inbox.put(self, None)

    def wish(self, options: BuildOptions) -> None:
        """What can still be wished for when somebody joins; the limits are those of the first."""
        if options.keep_failed and not self.keep_failed:
            self.keep_failed, self.keeper = True, options.asker

    def leave(self, inbox: Inbox) -> None:
        """Stop listening; the last one to leave cancels the job."""
        with self._lock:
            self.listeners.pop(inbox, None)
            if not self.listeners and self.result is None:
                self.cancel()

    def begin(self) -> None:
        """Its turn has come. Only from now on does it cost descriptors: thousands may wait."""
        with self._lock:
            self.started = time.time()
            self.waker, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            if self.cancelled:
                os.write(self._wake, b"x")

    def cancel(self) -> None:
        """Make the build end soon: its thread is woken and kills the builder."""
        self.cancelled = True
        if self._wake >= 0:
            os.write(self._wake, b"x")

    def emit(self, event: Event) -> None:
        """Tell all listeners. Called by the thread that runs the job."""
        with self._lock:
            if isinstance(event, BuildStarted):
                self._replay.pop(BuilderExited, None)  # of the round before
            if isinstance(event, BuildStarted | PhaseStarted | BuilderExited):
                self._replay[type(event)] = event
            listeners = list(self.listeners)
        for inbox in listeners:  # this may take a moment: whoever wants to leave meanwhile can
            inbox.put(self, event)

    def seen(self) -> tuple[list[Event], list[Asker]]:
        """What a late listener would be told, and who listens."""
        with self._lock:
            askers = [asker for asker in self.listeners.values() if asker is not None]
            return list(self._replay.values()), askers

    def finish(self, result: BuildResult) -> None:
        """The end: all listeners are told."""
        with self._lock:
            self.result = result
            for inbox in self.listeners:
                inbox.put(self, None)
            if self._wake >= 0:
                os.close(self.waker)
                os.close(self._wake)
            self.waker = self._wake = -1


_Key = tuple[StorePath, BuildMode, int]


def _key(path: StorePath, options: BuildOptions) -> _Key:
    """Requests with the same key can share a build."""
    return path, options.mode, options.rounds


class Scheduler:
    """Runs jobs on threads of its own, at most `slots[kind]` of a kind at once."""

    def __init__(self, run: Callable[[Job], BuildResult], slots: Mapping[str, int]) -> None:
        self._run = run
        self._slots = dict(slots)
        self._queues: dict[str, Turns] = {kind: Turns() for kind in slots}
        self._idle = dict.fromkeys(slots, 0)
        self._threads: dict[str, list[threading.Thread]] = {kind: [] for kind in slots}
        self._jobs: dict[_Key, Job] = {}
        self._changed = threading.Condition()
        self._closing = False

    def submit(
        self,
        path: StorePath,
        derivation: Derivation,
        options: BuildOptions,
        kind: str,
        inbox: Inbox,
    ) -> Job:
        """The job that builds `path`: a running or waiting one if there is one that does the same, else a new one."""
        with self._changed:
            if self._closing:
                raise FruixError("the daemon is shutting down", hint="ask again when it has been restarted")
            key, queue = _key(path, options), self._queues[kind]
            line = (options.asker.uid if options.asker else None, inbox)
            job = self._jobs.get(key)
            if job is not None and not job.cancelled:
                job.join(inbox, options.asker)
                job.wish(options)
                if queue.is_waiting(job):
                    queue.add(job, line)
                return job
            job = Job(path, derivation, options, kind)
            job.join(inbox, options.asker)
            job.wish(options)
            self._jobs[key] = job
            queue.add(job, line)
            try:
                self._start_thread(kind)
            except RuntimeError as error:
                queue.remove(job)
                del self._jobs[key]
                job.finish(BuildResult(BuildStatus.MISC_FAILURE, _NO_THREAD))
                raise FruixError(_NO_THREAD, hint="raise the limits that the daemon runs under") from error
            self._changed.notify_all()
            return job

    def jobs(self) -> list[Job]:
        """All that run or wait, oldest first."""
        with self._changed:
            return sorted(self._jobs.values(), key=lambda job: job.submitted)

    def close(self) -> None:
        """Cancel everything and wait until the last build has been cleaned up."""
        with self._changed:
            self._closing = True
            for job in self._jobs.values():
                job.cancel()
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
            thread = threading.Thread(
                target=self._work, args=(kind,), name=f"{kind}-{len(threads)}", daemon=True
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
            with self._changed:
                self._queues[kind].done(job)
                key = _key(job.path, job.options)
                if self._jobs.get(key) is job:
                    del self._jobs[key]
                job.finish(result)

    def _next(self, kind: str) -> Job | None:
        with self._changed:
            self._idle[kind] += 1
            try:
                while not self._queues[kind]:
                    if self._closing:
                        return None
                    self._changed.wait()
                return self._queues[kind].take()
            finally:
                self._idle[kind] -= 1

    def _guarded(self, job: Job) -> BuildResult:
        if job.cancelled:
            return BuildResult(BuildStatus.MISC_FAILURE, "cancelled")
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
