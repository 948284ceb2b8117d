"""Build users: a pool of numeric ids, one per running build.

Each is locked by a file, so that no two builds of a machine ever share one.

The lock files of all daemons of a machine lie in one directory, whatever their stores:
`/run/fruix/build-users` for root's; for those of an ordinary user, who all draw from the same
subordinate ids, one in the home directory. Nobody else can open them. A file says who holds it.
Whoever holds a user's lock may end the user's processes, since no other daemon has any; nobody else
may.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.sandbox.back_ends import current

_LOOK = 0.2  # seconds between looks whether anybody still wants a build that waits
_DIRECTORY = "build-users"
_MOST_WORDS = 256


@dataclass(frozen=True, slots=True)
class User:
    """A build user that is held until it is released; the group has the same number.

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
        """The group of the user, which has the same number."""
        return self.uid


def machine_directory(environment: Mapping[str, str]) -> str | None:
    """The directory of lock files that all daemons share that could get the same users.

    None: there is no place for it.

    Args:
        environment: the daemon's; `HOME` counts where the system's directory is somebody else's.
    """
    system = "/run" if os.path.isdir("/run") else "/var/run"
    home = environment.get("HOME", "")
    places = [f"{system}/fruix", *([f"{home.rstrip('/')}/.cache/fruix"] if home.startswith("/") else [])]
    return next((f"{place}/{_DIRECTORY}" for place in places if _make_private(f"{place}/{_DIRECTORY}")), None)


def _make_private(path: str) -> bool:
    """Make a directory, or see that it is this user's; closed to others either way."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            return False
        if stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
            os.fchmod(descriptor, stat.S_IRWXU)
        return True
    finally:
        os.close(descriptor)


class UserLocks:
    """Locks on build users, one file each, which all daemons of the machine share.

    Args:
        directory: where they are, one per uid.
        owner: who takes them, in words, for those who find them taken.
    """

    def __init__(self, directory: str, owner: str = "") -> None:
        self.directory = directory
        self._owner = owner

    def take(self, uid: int) -> int | None:
        """A descriptor that holds the lock until it is closed; None if somebody else has it."""
        descriptor = self._open(uid)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self._owner}, process {os.getpid()}\n".encode(errors="surrogateescape"), 0)
        return descriptor

    def release(self, descriptor: int) -> None:
        """Give back what `take` gave, and leave no name in it for those who look."""
        os.ftruncate(descriptor, 0)
        os.close(descriptor)

    def noted(self, uid: int) -> str:
        """Who had it last and did not release it, in words.

        Takes no lock, so it keeps nobody from taking one.
        """
        descriptor = self._open(uid)
        try:
            return _words(descriptor)
        finally:
            os.close(descriptor)

    def holder(self, uid: int) -> str | None:
        """Who has it now, in words; None: nobody.

        For a moment nobody can take it, but others can ask the same.
        """
        descriptor = self._open(uid)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _words(descriptor) or "unknown process"
        finally:
            os.close(descriptor)
        return None

    def _open(self, uid: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return os.open(f"{self.directory}/{uid}", flags, 0o600)
        except FileNotFoundError:  # a user's own directory of what can be had again, and somebody did that
            _make_private(self.directory)
            return os.open(f"{self.directory}/{uid}", flags, 0o600)


def _words(descriptor: int) -> str:
    return os.pread(descriptor, _MOST_WORDS, 0).decode(errors="replace").strip()


class UserPool:
    """Hands out users; waits when all are in use. Thread-safe.

    Args:
        locks: the lock files.
        uids: the pool.
        shared: processes can't run as these users, since the daemon is confined to one id: they are
            but numbers for its own user.
    """

    def __init__(self, locks: UserLocks, uids: Sequence[int], *, shared: bool = False) -> None:
        if 0 in uids or os.getuid() in uids:
            raise FruixError(f"build users may be neither root nor the daemon's own user: {os.getuid()}")
        self._locks = locks
        self._shared = shared
        self._free = list(reversed(uids))
        self._count = len(uids)
        self._changed = threading.Condition()

    @contextmanager
    def acquire(self, given_up: Callable[[], bool] = lambda: False) -> Iterator[User]:
        """A user nobody else has, with no process of its own left from before.

        Waits for one until `given_up`.

        Raises:
            FruixError: processes of every free build user run that are no daemon's, or it was given up.
        """
        uid, lock = self._take(given_up)
        try:
            yield User(os.getuid() if self._shared else uid, uid)
        finally:
            self._locks.release(lock)
            with self._changed:
                self._free.append(uid)
                self._changed.notify()

    def _take(self, given_up: Callable[[], bool]) -> tuple[int, int]:
        with self._changed:
            while (found := self._try()) is None:
                if given_up():
                    raise FruixError("cancelled while waiting for a build user")
                # Another daemon's builds end without a word.
                self._changed.wait(_LOOK)
        return found

    def _try(self) -> tuple[int, int] | None:
        """The first user that can be had.

        None if it is worth to wait: a build of this daemon or of another has to end first.

        Raises:
            FruixError: it is not, as all are in use by strangers.
        """
        waiting = len(self._free) < self._count
        for uid in reversed(self._free):
            lock = self._locks.take(uid)
            if lock is None:
                waiting = True
            elif not self._shared and current().processes_of(uid):
                self._locks.release(lock)
            else:
                self._free.remove(uid)
                return uid, lock
        if waiting:
            return None
        raise FruixError(
            f"all free build users ({self._free[-1]}…{self._free[0]}) "
            "are in use by processes that are no builds",
            hint="end those processes, or choose others by 'first-build-uid'",
        )
