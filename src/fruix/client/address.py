"""Connecting to a daemon's socket."""

from __future__ import annotations

import errno
import os
import socket

from fruix.client.remote import RemoteStore
from fruix.errors import GuixDaemonError, UnreachableError
from fruix.store.places import directory as directory_of

# What connect(2) says when nobody listens → what to tell the user.
_REASONS = {
    errno.ENOENT: "there is no socket of that name",
    errno.ECONNREFUSED: "a socket is there, but no daemon behind it",
    errno.EACCES: "this user may not reach the socket",
    errno.ENOTSOCK: "what is there is no socket",
}
_HINT = "start the daemon ('fruix daemon'), or name its socket in FRUIX_DAEMON_SOCKET"


def connect(path: str, directory: str | None = None, stream: socket.socket | None = None) -> RemoteStore:
    """Connect to the daemon at a socket.

    Args:
        path: the socket's file name.
        directory: the store directory (default: as the environment says).
        stream: is connected to it already.

    Raises:
        UnreachableError: nobody answers there.
        FruixError: the daemon doesn't serve this user.
    """
    place = directory or directory_of(os.environ, "store")
    try:
        return RemoteStore(stream or connected(path), place, where=path)
    except GuixDaemonError:
        from fruix.client.guix_store import GuixStore  # noqa: PLC0415 - seldom

        return GuixStore(connected(path), place, where=path)


def connected(path: str) -> socket.socket:
    """A stream to whoever listens at a socket.

    Raises:
        UnreachableError: nobody does.
    """
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(path)
    except OSError as error:
        stream.close()
        reason = _REASONS.get(error.errno or 0, str(error))
        raise UnreachableError(f"no daemon answers: {reason}", where=path, hint=_HINT) from error
    return stream
