"""The daemon's socket in the file system, and the lock of its state.

The socket's directory belongs to the daemon's user and can be written by nobody else, so that no
other user can put another socket in its place; the socket is bound under a temporary name with
all permissions off and gets its name by a rename, so that it is never there half made; a stale one
is simply replaced. A lock file, held for life, says that a daemon is running and which. Sockets
passed by the service manager (LISTEN_FDS) are used as they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from fruix.errors import StoreError

Listener = socket.socket

FIRST_PASSED = 3
BACKLOG = 128
_UNKNOWN = "unknown process, its name was deleted"
SOCKET_MODE = 0o666  # who may do what is decided by the peer's user, not by the file's mode


class StateLock:
    """The lock of one state directory: at most one daemon works on it. A context manager.

    Locked (flock) are the directory itself, which nobody can delete and make anew unnoticed, and
    the file `daemon.lock` in it, whose text names the holder. Both can be opened only by the
    daemon's user.
    """

    def __init__(self, state: str) -> None:
        self.path = f"{state}/daemon.lock"
        self._state = state
        self._owner = ""
        self._descriptors: list[int] = []

    def take(self, owner: str, *, wait: bool = False) -> None:
        """Take it; `owner` (a word or two) is what others are told.

        Raises:
            StoreError: somebody else has it.
        """
        self._owner = owner
        try:
            self._lock(os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), wait=wait)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.open(self.path, flags, 0o600)  # whoever may read it could lock it
            self._lock(file, wait=wait)
        except BlockingIOError:
            holder = self.holder()
            self.release()
            raise StoreError(
                f"another daemon is running on this state directory ({holder})",
                where=self.path,
                hint="use that one, stop it first, or choose another FRUIX_STATE_DIR",
            ) from None
        with contextlib.suppress(OSError):  # a full disk: the lock counts, its text is for people
            os.ftruncate(file, 0)
            os.pwrite(file, f"{owner}, process {os.getpid()}\n".encode(), 0)

    def _lock(self, descriptor: int, *, wait: bool) -> None:
        self._descriptors.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def take_again(self) -> None:
        """Take the lock of a state directory that was deleted since `take`, and made anew.

        Raises:
            StoreError: somebody else has it.
        """
        held = [(status.st_dev, status.st_ino) for status in map(os.fstat, self._descriptors)]
        there = [
            (status.st_dev, status.st_ino) for status in map(_status, (self._state, self.path)) if status
        ]
        if held == there:
            return
        self.release()
        self.take(self._owner)

    def holder(self) -> str:
        """Who has written its name last."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return file.read(256).strip() or _UNKNOWN
        except OSError:
            return _UNKNOWN

    def release(self) -> None:
        """Let go of the lock; the file stays, with the name of the last holder."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def listen(path: str) -> socket.socket:
    """A socket listening at `path`. The caller holds the lock that says that no other daemon does.

    Raises:
        StoreError: the directory could be changed by others, or something that is no socket has
            that name.
    """
    directory = os.path.dirname(path)
    _check_directory(directory)
    _check_free(path)
    temporary = f"{directory}/.new-{os.getpid()}"
    forget(temporary)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        listener.bind(temporary)
        listener.listen(BACKLOG)
        # Nobody could connect up to here; only now, and before it has its name, the socket is
        # opened to all.
        os.chmod(temporary, SOCKET_MODE)
        os.rename(temporary, path)
    except OSError as error:
        listener.close()
        forget(temporary)
        if error.errno is None:  # not the system's: Python can't make an address of the name
            raise StoreError("the socket's name is too long for this system", where=path) from error
        raise
    finally:
        os.umask(previous)
    return listener


def forget(path: str) -> None:
    """Take a socket's name away, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def passed_sockets(environment: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that a service manager passed to this very process; none is the usual case."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environment.get("LISTEN_FDS", "0")
    if not count.isdecimal():
        return []
    found = []
    for descriptor in range(FIRST_PASSED, FIRST_PASSED + int(count)):
        os.set_inheritable(descriptor, False)
        found.append(socket.socket(fileno=descriptor))
    return found


def notify(environment: Mapping[str, str], state: str) -> None:
    """Tell the service manager, if there is one (`READY=1`, `STOPPING=1`)."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return  # it will find out by itself


def _check_directory(directory: str) -> None:
    """Refuse a directory in which somebody else could replace the socket."""
    if not os.path.isdir(directory):
        os.mkdir(directory, 0o755)
    status = os.stat(directory)
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(
            f"the socket's directory could be changed by others (owner {status.st_uid}, mode"
            f" {stat.S_IMODE(status.st_mode):04o})",
            where=directory,
            hint="give it to the daemon's user, with mode 0755",
        )


def _check_free(path: str) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise StoreError(
            "what is at the socket's place is no socket",
            where=path,
            hint="remove it, or choose another place",
        )
