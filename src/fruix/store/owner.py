"""Whose a store directory is.

A file beside it that says which database belongs to it, and by whose lock one state directory works
on it at a time.

    store 5f0c2d9e8b7a6c51
    newest 00000000000000001234
    database 65025:131089
    process 1234, state directory /frx/var/fruix

`store`: the identity that the database has, too. `newest`: the id of the newest row that is known
to be on disk, so that an older copy of the database is noticed. Both have fixed lengths, so that
writing them anew can't damage the other. Then who works on it: device and inode of the database's
directory, and words for people.

The file is `/frx/.store.owner` for `/frx/store`, mode 0600: others could otherwise hold the lock
against us. Nothing of it lies in the store itself, unless the directory above can't be written to:
then it is `.owner` in there.

The lock (flock) is shared by all processes that have the store open, who must have the same
database; the first of them has it alone until it has looked after a crash.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress

from fruix.dataclass import dataclass
from fruix.errors import StoreError
from fruix.late import late_pattern

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_NOT_THERE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_IDENTITY = late_pattern(r"^store ([0-9a-f]{16})$", re.MULTILINE)
_NEWEST = late_pattern(r"^newest ([0-9]{20})$", re.MULTILINE)
_DATABASE = late_pattern(r"^database ([0-9]+:[0-9]+)$", re.MULTILINE)
_PROCESS = late_pattern(r"^(process .+)$", re.MULTILINE)
_SIZE = 4096
_NEWEST_AT = len("store \n") + 16


@dataclass(frozen=True, slots=True)
class Owner:
    """What the file says; empty or 0: nothing."""

    identity: str = ""
    newest: int = 0
    database: str = ""
    process: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Owner:
        """Line by line: what is damaged counts as not there."""
        text = data.decode("ascii", "replace")
        found = [pattern.search(text) for pattern in (_IDENTITY, _NEWEST, _DATABASE, _PROCESS)]
        identity, newest, database, process = (match[1] if match else "" for match in found)
        return cls(identity, int(newest or 0), database, process)

    def to_bytes(self) -> bytes:
        """The file."""
        process = self.process.encode("ascii", "replace").decode()
        return f"store {self.identity}\n{_newest(self.newest)}database {self.database}\n{process}\n".encode()


def _newest(value: int) -> str:
    return f"newest {value:020}\n"


class StoreLock:
    """The file, open and locked.

    Attributes:
        alone: nobody else has the store open, and nobody can until `share`.
        path: the file's name.
    """

    def __init__(self, store: str, state: str, database: str) -> None:
        """Wait for whoever is just looking after a crash, then take the lock.

        Args:
            store: the store directory.
            state: the state directory, for people.
            database: the directory of the database, which exists.

        Raises:
            StoreError: processes with another database work on this store; says who.
        """
        status = os.stat(database)
        self._database = f"{status.st_dev}:{status.st_ino}"
        self._process = f"process {os.getpid()}, state directory {state}"
        self._store = store
        while not self._take():
            self.close()

    def _take(self) -> bool:
        """False if somebody has removed the file meanwhile: what was locked is nobody else's lock then."""
        self.path, self._descriptor = _open(self._store)
        try:
            self.alone = self._try_alone()
            if not self.alone:
                self._join()
            return os.fstat(self._descriptor).st_nlink > 0
        except BaseException:
            self.close()
            raise

    def _try_alone(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _join(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        owner = self.read()
        if owner.database != self._database:
            raise StoreError(
                f"another daemon works on this store with another database "
                f"({owner.process or 'unknown process'})",
                where=self._store,
                hint="use that one, stop it first, or choose another FRUIX_STORE_DIR: "
                "a store has one state directory",
            )

    def read(self) -> Owner:
        """What the file says."""
        return Owner.parse(os.pread(self._descriptor, _SIZE, 0))

    def write(self, identity: str, newest: int) -> None:
        """Say that the store is that database's, and that this process works on it.

        For who is alone; on disk when it returns.
        """
        before = self.read()
        data = Owner(identity, newest, self._database, self._process).to_bytes()
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))
        if (before.identity, before.newest) != (identity, newest):
            os.fsync(self._descriptor)  # with its name

    def note(self, newest: int) -> None:
        """Say up to which row all is on disk."""
        os.pwrite(self._descriptor, _newest(newest).encode(), _NEWEST_AT)
        if not newest:
            os.fsync(self._descriptor)  # before the rows go that a database without them would lack

    def share(self) -> None:
        """Let other processes in.

        Raises:
            StoreError: as for the making; in the moment between alone and shared somebody else was
                faster.
        """
        self.alone = False
        self._join()

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def identity_of(store: str) -> str:
    """The identity of the database that a store directory belongs to.

    Empty if nobody has said so yet.
    """
    for path in _places(store):
        with suppress(OSError), open(path, "rb") as file:
            return Owner.parse(file.read(_SIZE)).identity
    return ""


def _places(store: str) -> tuple[str, str]:
    """Where the file may be: in the store directory, or beside it."""
    parent, name = os.path.split(store)
    return f"{store}/.owner", f"{parent.rstrip('/')}/.{name}.owner"


def _open(store: str) -> tuple[str, int]:
    inside, beside = _places(store)
    if not os.path.lexists(inside):
        try:
            return beside, _open_private(beside)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
    return inside, _open_private(inside)


def _open_private(path: str) -> int:
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
