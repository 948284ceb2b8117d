"""What caches answered lately, so that they aren't asked again. In memory; a restart forgets it.

A path that a cache has stays there for long; one that it hasn't may come any time. A cache that
can't be reached isn't asked again for `DOWN` seconds, so that every request doesn't wait for it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from fruix.dataclass import dataclass
from fruix.model.cacheinfo import CacheInfo
from fruix.model.narinfo import NarInfo

# The kinds of lines that the fetcher writes, and the bytes of a small file that it reads: the narinfo
# of a path with thousands of references has some hundred thousand.
FOUND, NOTHING, PROBLEM = "found", "none", "problem"
LONGEST = 1 << 20
DOWN = 60.0
# Answers that are kept: the oldest go first. One takes about 2 KiB.
MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cache says of a hash part. None: it has nothing of that."""

    found: NarInfo | None
    until: float


class Answers:
    """Thread-safe. Times in seconds."""

    def __init__(
        self, positive: int, negative: int, clock: Callable[[], float] = time.monotonic, most: int = MOST
    ) -> None:
        """How long answers hold, with and without a path."""
        self._seconds = {True: positive, False: negative}
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Answer] = OrderedDict()
        self._caches: dict[str, CacheInfo] = {}
        self._down: dict[str, tuple[float, str]] = {}

    def get(self, cache: str, part: str) -> Answer | None:
        """What the cache has answered, if that still holds."""
        with self._lock:
            answer = self._known.get((cache, part))
            if answer is not None and answer.until <= self._clock():
                del self._known[cache, part]
                return None
            return answer

    def put(self, cache: str, part: str, found: NarInfo | None) -> None:
        """Note an answer."""
        with self._lock:
            self._known.pop((cache, part), None)
            until = self._clock() + self._seconds[found is not None]
            self._known[cache, part] = Answer(found, until)
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def forget(self, cache: str, part: str) -> None:
        """An answer was not true: its archive isn't there, or is another one."""
        with self._lock:
            self._known.pop((cache, part), None)

    def info(self, cache: str) -> CacheInfo | None:
        """What a cache says of itself."""
        return self._caches.get(cache)

    def describe(self, cache: str, info: CacheInfo) -> None:
        """Note what a cache says of itself; that doesn't change while the daemon runs."""
        self._caches[cache] = info

    def why_down(self, cache: str) -> str:
        """Why a cache isn't asked now; empty: it is."""
        with self._lock:
            until, why = self._down.get(cache, (0.0, ""))
            return why if until > self._clock() else ""

    def down(self, cache: str, why: str) -> None:
        """A cache could not be asked."""
        with self._lock:
            self._down[cache] = (self._clock() + DOWN, why)
