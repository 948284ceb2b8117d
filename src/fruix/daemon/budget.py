"""A budget of memory for what clients have the daemon hold: over all sessions, and per user.

Counted are requests while they are read, worked on and answered, and what a session keeps
(temporary roots), as estimates of what Python's objects take. What doesn't fit is refused at once,
as an error of that request; its rest is read and dropped, and the session goes on. Nobody waits for
memory: a session that waited would hold what it has. Root and trusted users have a reserve that
nobody else can take.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from fruix.daemon.settings import Settings
from fruix.errors import MemoryLimitError
from fruix.model.storepath import StorePath
from fruix.overriding import override

MIB = 1 << 20
# What a session keeps is taken in steps, so that small things cost no lock.
_STEP = 1 << 14
_ROOT = 400  # bytes of a temporary root besides its text


class Budget:
    """Shared by all sessions of a daemon. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._total = settings.max_client_memory
        self._of_user = settings.max_client_memory_per_user
        self._reserve = settings.reserved_client_memory
        self._lock = threading.Lock()
        self._used = 0
        self._by_user: Counter[int] = Counter()

    @property
    def used(self) -> int:
        """Bytes that are counted now."""
        return self._used

    def take(self, uid: int, size: int, *, trusted: bool) -> None:
        """Count bytes for a user.

        Raises:
            MemoryLimitError: they are too many.
        """
        with self._lock:
            own = self._by_user[uid] + size
            if uid != 0 and own > self._of_user:
                raise _refusal(f"clients of user {uid}", self._of_user, "max-client-memory-per-user")
            most = self._total + (self._reserve if trusted else 0)
            if self._used + size > most:
                raise _refusal("all clients together", most, "max-client-memory")
            self._used += size
            self._by_user[uid] = own

    def give(self, uid: int, size: int) -> None:
        """Count `size` bytes less for a user: what `take` counted is no longer held."""
        with self._lock:
            self._used -= size
            self._by_user[uid] -= size
            if not self._by_user[uid]:
                del self._by_user[uid]


def _refusal(who: str, most: int, setting: str) -> MemoryLimitError:
    return MemoryLimitError(
        f"the request needs too much memory: {who} may have the daemon hold {most // MIB} MiB"
        f" (setting '{setting}')",
        hint="ask for less at once, or again when other requests have ended",
    )


class Account:
    """One session's part. For the session's thread."""

    def __init__(self, budget: Budget, uid: int, *, trusted: bool) -> None:
        self._budget = budget
        self._uid = uid
        self._trusted = trusted
        self.taken = 0  # for the request
        self._kept = 0
        self._kept_room = 0

    def take(self, size: int) -> None:
        """Count bytes for the request.

        Raises:
            MemoryLimitError: they are too many.
        """
        self._budget.take(self._uid, size, trusted=self._trusted)
        self.taken += size

    def give(self, size: int) -> None:
        """Count `size` bytes less for the request: it no longer holds them."""
        self.taken -= size
        self._budget.give(self._uid, size)

    def keep(self, size: int) -> None:
        """Count bytes for the rest of the session.

        Raises:
            MemoryLimitError: they are too many.
        """
        if self._kept_room < size:
            step = max(_STEP, size)
            self._budget.take(self._uid, step, trusted=self._trusted)
            self._kept += step
            self._kept_room += step
        self._kept_room -= size

    def end_request(self) -> None:
        """Nothing of the request is held any more."""
        if self.taken:
            self.give(self.taken)

    def close(self) -> None:
        """Give back all that is counted for the session, at its end."""
        self.end_request()
        if self._kept:
            self._budget.give(self._uid, self._kept)
            self._kept = self._kept_room = 0


class CountedRoots(set[StorePath]):
    """A session's temporary roots, which it keeps to its end."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account

    @override
    def update(self, *several: Iterable[StorePath]) -> None:
        """Add roots, all of a list or none.

        Raises:
            MemoryLimitError: they are too many.
        """
        for paths in several:
            new = set(paths) - self
            self._account.keep(sum([_ROOT + len(path.text) for path in new]))
            super().update(new)

    @override
    def add(self, path: StorePath) -> None:
        if path not in self:
            self._account.keep(_ROOT + len(path.text))
            super().add(path)
