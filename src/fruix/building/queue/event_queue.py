"""What a session is told by its jobs: a queue that a slow client can't make grow without end.

What a builder causes by its output is bounded. Of lines of logs a session may have `ROOM` bytes
waiting; then the builder's thread waits for it, for `PATIENCE` seconds in all until it has caught
up, since other clients may share the build and limits have to be looked at. After that lines are
left out for this session until it has read half of what waits; then it is told how many. Phases and
progress, which are lines too, get in at once up to `MOST` bytes and are left out beyond that. The
log file has all of them. All other events always get in: there are a few for each build.

Nobody is woken for an event that another one follows at once: a session that ran between them would take
the interpreter from the thread that builds. If the next one is late, `get`'s timeout brings them, or
`hurry`: a builder's start is followed by its end where that comes within milliseconds. Lines
that follow others closely are gathered for `GATHER` seconds: a compiler's come a hundred in a second, and
each would wake the session and its client.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty

from fruix.model.buildresult import BuildResult
from fruix.model.events import (
    BuilderExited,
    BuildFailed,
    BuildFinished,
    BuildQueued,
    BuildStarted,
    Event,
    LogLine,
    Message,
    PhaseStarted,
    Progress,
)
from fruix.model.storepath import StorePath

ROOM = 1 << 20
MOST = 2 * ROOM
PATIENCE = 1.0  # seconds
GATHER = 0.05
_OVERHEAD = 200  # bytes that a line costs besides its text
# The first is put by who is going to take it; the outputs come after the second, the result after the others.
_FOLLOWED = (BuildQueued, BuildStarted, BuilderExited, BuildFinished, BuildFailed)
_PATIENT = (*_FOLLOWED, LogLine, Progress)


class Inbox:
    """Pairs of the derivation that is built and an event, its result at the end. Thread-safe."""

    def __init__(self, given_up: Callable[[], bool] = lambda: False) -> None:
        """`given_up`: whether its owner's client has gone, which the owner may not have noticed yet."""
        self.given_up = given_up
        self._items: deque[tuple[StorePath, Event | BuildResult]] = deque()
        self._changed = threading.Condition()
        self._waiting = 0  # bytes of what builders caused
        self._left_out = 0
        self._urgent = 0  # events for which nobody waits any longer
        self._batch = 0  # what is left of those that were there when the last gathering ended
        self._gathered = 0.0  # when there were lines among them last, by the monotonic clock
        self._gathering = False
        self._patience = PATIENCE

    def put(self, path: StorePath, event: Event | BuildResult) -> None:
        """Add an event; a line may be left out."""
        with self._changed:
            if (size := _size(event)) and not self._has_room(event, size):
                self._left_out += 1
                return
            self._waiting += size
            self._items.append((path, event))
            self._urgent += (urgent := not isinstance(event, _PATIENT))
            if urgent or self._is_half_full() or not (self._gathering or isinstance(event, _FOLLOWED)):
                self._changed.notify_all()

    def hurry(self) -> None:
        """Nothing follows soon: wake whoever waits for what is there."""
        with self._changed:
            if self._items and not self._gathering:
                self._changed.notify_all()

    def is_empty(self) -> bool:
        """Whether `get` would wait."""
        return not self._items

    def _has_room(self, event: Event | BuildResult, size: int) -> bool:
        if not isinstance(event, LogLine):
            return self._waiting + size <= MOST
        if self._left_out and self._waiting >= ROOM // 2:
            return False
        if self._waiting >= ROOM:
            begun = time.monotonic()
            self._changed.wait_for(lambda: self._waiting < ROOM, max(0.0, self._patience))
            self._patience -= time.monotonic() - begun
            if self._waiting >= ROOM:
                return False
        return True

    def get(self, timeout: float | None = None) -> tuple[StorePath, Event | BuildResult]:
        """The next one.

        Raises:
            Empty: there was none for `timeout` seconds.
        """
        with self._changed:
            if not self._items and not self._changed.wait_for(lambda: self._items, timeout):
                raise Empty
            if not self._batch:
                self._gather()
            path, event = self._items[0]
            if self._left_out and self._waiting < ROOM // 2:
                return path, self._gap()
            self._items.popleft()
            self._batch -= 1
            self._urgent -= not isinstance(event, _PATIENT)
            if size := _size(event):
                self._waiting -= size
                if self._waiting < ROOM // 2:
                    self._patience = PATIENCE
                self._changed.notify_all()
            return path, event

    def _gather(self) -> None:
        """Let more lines come, if it isn't long since the last ones."""
        left = self._gathered + GATHER - time.monotonic()
        if left > 0:
            self._gathering = True
            self._changed.wait_for(lambda: self._urgent or self._is_half_full(), left)
            self._gathering = False
        self._batch = len(self._items)
        if self._waiting:
            self._gathered = time.monotonic()

    def _is_half_full(self) -> bool:
        return self._waiting >= ROOM // 2

    def _gap(self) -> Message:
        count, self._left_out = self._left_out, 0
        return Message(1, f"… {count} lines of output left out here, since they were not read fast enough")


def _size(event: Event | BuildResult) -> int:
    """Bytes of memory of what a builder caused; 0 for other events."""
    match event:
        case LogLine():
            return len(event.line) + _OVERHEAD
        case PhaseStarted():
            return len(event.phase) + _OVERHEAD
        case Progress():
            return len(event.what) + _OVERHEAD
    return 0
