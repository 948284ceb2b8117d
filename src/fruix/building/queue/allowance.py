"""The time, silence and log size that each requester allows a build.

One build may have several requesters. The one whose limit passes first is told so and waits no
longer, and the build goes on for the others; it is ended when the limits of all have passed.
So a build has the widest limits of those who wait for it, whoever comes and goes. Time and silence
count from the start of the build (of each of its rounds), for who joins later from then on. The
time goes on until the outputs are taken over; silence is the builder's alone.

The operator's own limits hold for the build as a whole: from its start on, with all rounds, whoever
joins.

Cost: a look at each requester every `INTERVAL`, else a comparison.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from fruix.building.limits import INTERVAL, Limits
from fruix.building.queue.job import Job, Listener
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.reasons import Reason, reason

_ENDLESS = 1 << 62
Tell = Callable[[Listener, Reason], None]
"""Told of a requester whose limit has passed and who doesn't wait any more."""


class Allowance:
    """Of one build. Not thread-safe: the build's own thread asks."""

    def __init__(self, job: Job, settings: BuildSettings, tell: Tell) -> None:
        self._job = job
        self._settings = settings
        self._tell = tell
        self._known: tuple[BuildOptions, Limits] | None = None  # those of one who waits: mostly there is one
        self.begin()

    def begin(self) -> None:
        """Count the build's time from now on, and that of its first round."""
        self._started = time.monotonic()
        self.begin_round()

    def begin_round(self) -> None:
        """A round of it begins."""
        self._begun = self._heard = time.monotonic()
        # When to look at the requesters again: limits are whole seconds, so none passes at once.
        self._next = self._begun + INTERVAL
        self._log_size = 0  # what every requester allows; not known before there is a log

    def heard(self) -> None:
        """The builder has said something."""
        self._heard = time.monotonic()

    def widest(self) -> Limits:
        """The limits of the build as a whole."""
        options = [listener.options for listener in self._job.waiting()] or [self._job.options]
        return Limits.widest(map(self._limits, options))

    def _limits(self, options: BuildOptions) -> Limits:
        if self._known is None or self._known[0] is not options:
            self._known = options, Limits.of(options, self._settings)
        return self._known[1]

    def patience(self) -> float:
        """Seconds until something may pass, at most `INTERVAL`."""
        return max(0.0, self._next - time.monotonic()) + 0.001

    def passed(self, written: int | None = None) -> Reason | None:
        """Let those go whose limit has passed; the reason to end the build, if nobody is left.

        `written`: bytes of log; None when the builder has ended (then time alone counts).
        """
        now = time.monotonic()
        if now < self._next and (written or 0) <= self._log_size:
            return None
        gone, end = self._job.sift(lambda listener: self._passed_for(listener, now, written))
        for listener, why in gone:
            self._tell(listener, why)
        self._look_ahead(now)
        return end

    def _passed_for(self, listener: Listener, now: float, written: int | None) -> Reason | None:
        for moment, why in self._moments(listener):
            if moment <= now and not (written is None and why["kind"] == "silence"):
                return why
        size = self._limits(listener.options).max_log_size
        return reason("log-limit", limit=size) if size and (written or 0) > size else None

    def _moments(self, listener: Listener) -> Iterator[tuple[float, Reason]]:
        """When which limit passes for one who waits."""
        limits, settings = self._limits(listener.options), self._settings
        for begun, kind, limit in (
            (max(self._begun, listener.since), "timeout", limits.timeout),
            (self._started, "timeout", settings.timeout_limit),
            (max(self._heard, listener.since), "silence", limits.max_silent_time),
            (self._heard, "silence", settings.silent_time_limit),
        ):
            if limit:
                yield begun + limit, reason(kind, limit=limit)

    def _look_ahead(self, now: float) -> None:
        """When there is something to look at again.

        What is heard meanwhile moves a moment only away.
        """
        moments, sizes = [now + INTERVAL], []
        for listener in self._job.waiting():
            moments += [moment for moment, _ in self._moments(listener)]
            sizes.append(self._limits(listener.options).max_log_size or _ENDLESS)
        # Of moments that have passed without effect (silence, once the builder has ended) nothing
        # comes any more.
        self._next = min(moment for moment in moments if moment > now)
        self._log_size = min(sizes, default=_ENDLESS)
