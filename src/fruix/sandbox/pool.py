"""Build users: a pool of numeric ids, one per running build, locked by files so that two daemons never share one."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fruix.errors import FruixError
from fruix.sandbox.platform import current

_LOOK = 0.2  # seconds between looks whether anybody still wants a build that waits


@dataclass(frozen=True, slots=True)
class User:
    """A build user that is ours until it is released; the group has the same number.

    Attributes:
        uid: on the host (or in the daemon's own user namespace): owns its files and processes.
        number: what it is by contract; another one than `uid` only if all builds share the daemon's user.
    """

    uid: int
    number: int

    @property
    def shared(self) -> bool:
        """Whether it is the daemon's own user under another number."""
        return self.uid != self.number

    @property
    def gid(self) -> int:
        """Its group."""
        return self.uid


class UserPool:
    """Hands out users; waits when all are in use. Thread-safe.

    Args:
        directory: where the lock files are (one per uid).
        uids: the pool.
        shared: processes can't run as these users, since the daemon is confined to one id: they are but numbers for its own user.
    """

    def __init__(self, directory: str, uids: Sequence[int], *, shared: bool = False) -> None:
        if 0 in uids or os.getuid() in uids:
            raise FruixError(f"build users may be neither root nor the daemon's own user: {os.getuid()}")
        self._directory = directory
        self._shared = shared
        self._free = list(reversed(uids))
        self._changed = threading.Condition()

    @contextmanager
    def acquire(self, given_up: Callable[[], bool] = lambda: False) -> Iterator[User]:
        """A user nobody else has, with no process of its own left from before; waits for one until `given_up`.

        Raises:
            FruixError: processes of every free build user run that aren't ours, or it was given up.
        """
        uid, lock = self._take(given_up)
        try:
            yield User(os.getuid() if self._shared else uid, uid)
        finally:
            os.close(lock)
            with self._changed:
                self._free.append(uid)
                self._changed.notify()

    def _take(self, given_up: Callable[[], bool]) -> tuple[int, int]:
        while True:
            with self._changed:
                while not self._free:
                    if given_up():
                        raise FruixError("cancelled while waiting for a build user")
                    self._changed.wait(_LOOK)
                candidates = list(reversed(self._free))
                for uid in candidates:
                    lock = self._lock(uid)
                    if lock is not None:
                        self._free.remove(uid)
                        return uid, lock
                raise FruixError(
                    f"all free build users ({candidates[0]}…{candidates[-1]}) are in use by others",
                    hint=f"end their processes, or remove what holds the locks in {self._directory}",
                )

    def _lock(self, uid: int) -> int | None:
        path = f"{self._directory}/{uid}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if not self._shared and current().processes_of(uid):
            os.close(descriptor)
            return None
        return descriptor
