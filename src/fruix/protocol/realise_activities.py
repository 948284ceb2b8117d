"""The three activities that stand around a request's builds, for clients of Nix.

What is realised as a whole, builds and copies: from the counts that they report, terminals draw their
bar, and nix-output-monitor its summary. They begin with the first build or copy, so that a request
for what is there already tells nothing. How many of each are expected is what the client was told
when it asked (QueryMissing), and no less than have begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from fruix.dataclass import dataclass, field
from fruix.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
)
from fruix.model.planned import Missing
from fruix.model.storepath import StorePath
from fruix.protocol import messages as wire
from fruix.protocol.activities import ActivityType, Level, ResultType


@dataclass(frozen=True, slots=True)
class Expected:
    """What a client was told of a request before it: how many builds and copies; sizes in bytes."""

    builds: int = 0
    copies: int = 0
    download_size: int = 0
    nar_size: int = 0

    @classmethod
    def of(cls, missing: Missing) -> Self:
        """Keep of it what counts."""
        sizes = (missing.download_size, missing.nar_size)
        return cls(len(missing.will_build), len(missing.will_substitute), *sizes)


_BEGIN = BuildStarted | SubstitutionStarted
_END = BuildFinished | BuildFailed | SubstitutionFinished | SubstitutionFailed


@dataclass(slots=True)
class _Count:
    """How many of a kind there are: done, expected, failed, and what runs."""

    expected: int
    done: int = 0
    failed: int = 0
    running: set[StorePath] = field(default_factory=set)

    def end(self, path: StorePath, *, well: bool) -> bool:
        """Take one that has ended; False if it had not begun."""
        if path not in self.running:
            return False
        self.running.remove(path)
        self.done += well
        self.failed += not well
        return True

    def result(self, activity: int) -> wire.Message:
        """What its activity reports."""
        running = len(self.running)
        expected = max(self.expected, self.done + self.failed + running)
        return wire.Result(activity, ResultType.PROGRESS, (self.done, expected, running, self.failed))


class RealiseActivities:
    """Those of one request."""

    def __init__(self, ids: Iterator[int], expected: Expected) -> None:
        """Begin nothing yet; `ids` are of the session."""
        self._ids = ids
        self._expected = expected
        self._builds = _Count(expected.builds)
        self._copies = _Count(expected.copies)
        self._realise = self._building = self._copying = 0

    def around(self, event: Event, said: Iterable[wire.Message]) -> Iterator[wire.Message]:
        """What a client is told of an event (`said`), with what that changes in the counts."""
        if isinstance(event, _BEGIN):
            yield from self._begin()
            yield from said
            count, path = self._of(event)
            count.running.add(path)
            yield from self._results()
        elif isinstance(event, _END):
            count, path = self._of(event)
            well = isinstance(event, BuildFinished | SubstitutionFinished)
            if count.end(path, well=well):
                yield from self._results()
            yield from said
        else:
            yield from said

    def end(self) -> Iterator[wire.Message]:
        """The activities end, if they have begun."""
        if self._realise:
            for activity in (self._copying, self._building, self._realise):
                yield wire.StopActivity(activity)

    def _of(self, event: _BEGIN | _END) -> tuple[_Count, StorePath]:
        if isinstance(event, BuildStarted | BuildFinished | BuildFailed):
            return self._builds, event.drv
        return self._copies, event.path

    def _begin(self) -> Iterator[wire.Message]:
        if self._realise:
            return
        self._realise, self._building, self._copying = (next(self._ids) for _ in range(3))
        for activity, kind in (
            (self._realise, ActivityType.REALISE),
            (self._building, ActivityType.BUILDS),
            (self._copying, ActivityType.COPY_PATHS),
        ):
            yield wire.StartActivity(activity, Level.ERROR, kind, "", (), 0)
        for kind, size in (
            (ActivityType.FILE_TRANSFER, self._expected.download_size),
            (ActivityType.COPY_PATH, self._expected.nar_size),
        ):
            yield wire.Result(self._realise, ResultType.SET_EXPECTED, (kind, size))

    def _results(self) -> Iterator[wire.Message]:
        yield self._builds.result(self._building)
        yield self._copies.result(self._copying)
