"""A job: one derivation being built, and all who wait for it.

What happens to it arrives in each listener's own inbox (`queue.event_queue`), so that a session's
thread alone writes to its client. Each who waits has limits of his own (`queue.allowance`); the
number of cores is that of the first. A job that nobody waits for any more is cancelled.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from fruix.building.plan.goal import contract_name
from fruix.building.queue.event_queue import Inbox
from fruix.dataclass import dataclass, field
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.derivation import Derivation
from fruix.model.events import BuilderExited, BuildQueued, BuildStarted, Event, PhaseStarted
from fruix.model.machines import Machine
from fruix.model.reasons import Reason, reason
from fruix.model.storepath import StorePath
from fruix.substitutes.substituter import Offer

Key = tuple[StorePath, BuildMode, int, str, Inbox | None]


def key_of(path: StorePath, derivation: Derivation, options: BuildOptions, alone: Inbox | None) -> Key:
    """Requests with the same key can share a build; of something impure each gets its own."""
    return path, options.mode, options.rounds, contract_name(derivation, options.contract), alone


@dataclass(frozen=True, slots=True)
class Listener:
    """A requester that waits for a job.

    Attributes:
        inbox: where it is told of events.
        options: what it asked for.
        since: when it joined, in seconds of the monotonic clock.
    """

    inbox: Inbox
    options: BuildOptions
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class Job:
    """One derivation being built, for one or more sessions."""

    path: StorePath
    derivation: Derivation
    options: BuildOptions
    kind: str
    offer: Offer | None = None  # it is fetched, not built
    alone: Inbox | None = None  # the only one that it is for: it is impure
    outputs: frozenset[StorePath] = field(init=False)  # as far as they are known
    result: BuildResult | None = None
    submitted: float = field(default_factory=time.time)
    started: float = 0.0
    cancelled: bool = False
    machines: list[Machine] = field(default_factory=list)  # that could build it, of those of the request
    objections: list[str] = field(default_factory=list)  # why the others can't
    fits_here: bool = True
    prefers_here: bool = False
    machine: Machine | None = None  # that builds it
    why: str = ""  # that one, where there was a choice
    waker: int = -1  # once it has begun: readable when the job is cancelled
    behind: Callable[[], None] | None = None  # what is left to do when all know how it ended
    _listeners: dict[Inbox, Listener] = field(default_factory=dict)
    _ending: bool = False  # the limits of all who waited have passed
    _replay: dict[type[Event], Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wake: int = -1

    def __post_init__(self) -> None:
        self._replay[BuildQueued] = BuildQueued(self.path, self.kind, self.submitted)
        self.outputs = frozenset(self.derivation.output_paths.values())

    def join(self, inbox: Inbox, options: BuildOptions) -> bool:
        """Listen; a late listener is first told what it missed that matters (start, phase).

        False: it is being given up.
        """
        with self._lock:
            if self.cancelled or self._ending:
                return False
            self._listeners[inbox] = Listener(inbox, options)
            for event in self._replay.values():
                inbox.put(self.path, event)
            if self.result is not None:
                inbox.put(self.path, self.result)
            return True

    def waiting(self) -> list[Listener]:
        """All who wait, in the order in which they came."""
        with self._lock:
            return list(self._listeners.values())

    def wanted(self, wish: Callable[[BuildOptions], bool]) -> BuildOptions | None:
        """The options of the first who waits with that wish."""
        options = (listener.options for listener in self.waiting())
        return next((one for one in options if wish(one)), None)

    def is_allowed_here(self) -> bool:
        """Whether one who waits lets it be built on this machine."""
        return self.wanted(lambda options: options.here) is not None

    def sift(
        self, why: Callable[[Listener], Reason | None]
    ) -> tuple[list[tuple[Listener, Reason]], Reason | None]:
        """Let go of those for whom there is a reason to end.

        If there is one for all, nobody can join any more.

        Returns:
            Those who were let go, each with the reason, or the reason (the one with the highest
                limit) if it holds for all.
        """
        with self._lock:
            found = [(listener, why(listener)) for listener in self._listeners.values()]
            gone = [(listener, text) for listener, text in found if text is not None]
            if len(gone) < len(found):
                for listener, _ in gone:
                    del self._listeners[listener.inbox]
                return gone, None
            self._ending = True
            last = max((text for _, text in gone), key=lambda text: int(text["limit"]), default=None)
            return [], last or reason("cancelled")

    def leave(self, inbox: Inbox) -> None:
        """Stop listening; the last one to leave cancels the job."""
        with self._lock:
            self._listeners.pop(inbox, None)
            if not self._listeners and self.result is None:
                self.cancel()

    def is_nested(self) -> bool:
        """Whether a builder that runs waits for it."""
        return self.wanted(lambda options: options.inside is not None) is not None

    def is_wanted(self) -> bool:
        """Whether the client of one who waits is still there.

        What is unwanted is left soon, and cancelled by that.
        """
        with self._lock:
            return self._is_wanted()

    def cancel_if_unwanted(self) -> bool:
        """Cancel it if nobody waits for it any more, so that nobody can join.

        Whether it is cancelled.
        """
        with self._lock:
            self.cancelled = self.cancelled or not self._is_wanted()
            return self.cancelled

    def _is_wanted(self) -> bool:
        return any(not inbox.given_up() for inbox in self._listeners)

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
            listeners = list(self._listeners)
        for inbox in listeners:  # this may take a moment: whoever wants to leave meanwhile can
            inbox.put(self.path, event)

    def hurry(self) -> None:
        """Have all listeners told now of what they may have been left to hear with what follows."""
        with self._lock:
            listeners = list(self._listeners)
        for inbox in listeners:
            inbox.hurry()

    def seen(self) -> tuple[list[Event], list[Requester]]:
        """What a late listener would be told, and who listens and is still there."""
        with self._lock:
            present = [row for row in self._listeners.values() if not row.inbox.given_up()]
            requesters = [listener.options.requester for listener in present]
            return list(self._replay.values()), [
                requester for requester in requesters if requester is not None
            ]

    def pause(self) -> None:
        """It is going to begin again."""
        with self._lock:
            self._close()

    def finish(self, result: BuildResult) -> None:
        """The end: all listeners are told."""
        with self._lock:
            self.result = result
            self._close()  # before anybody is woken, who would then wait for this
            for inbox in self._listeners:
                inbox.put(self.path, result)

    def _close(self) -> None:
        if self._wake >= 0:
            os.close(self.waker)
            os.close(self._wake)
        self.waker = self._wake = -1
