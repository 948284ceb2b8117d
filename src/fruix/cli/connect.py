"""The store that a command talks to: the daemon at the socket, else an embedded one (the same code in a child process)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fruix.client import RemoteStore, connect, socket_path
from fruix.errors import UnreachableError
from fruix.store.layout import Layout


def layout() -> Layout:
    """The directories that the environment names."""
    return Layout.from_environment(os.environ)


def connect_running() -> RemoteStore:
    """A daemon that runs already: what an embedded one would be asked is not of interest, it has no other clients.

    Raises:
        UnreachableError: no daemon answers.
    """
    return connect(socket_path(os.environ))


@contextmanager
def open_store() -> Iterator[RemoteStore]:
    """A connection for the length of a command.

    Raises:
        UnreachableError: no daemon answers, and this user can't run an embedded one.
    """
    try:
        store = connect(socket_path(os.environ))
    except UnreachableError as error:
        if os.geteuid() != 0:
            hint = "start it ('fruix daemon', as root), or name its socket in FRUIX_DAEMON_SOCKET; without root there is no embedded mode yet"
            raise UnreachableError(error.message, where=error.where, hint=hint) from error
        from fruix.daemon.embedded import embedded_store  # noqa: PLC0415 - only when there is no daemon

        print("no daemon at the socket: working with an embedded one", file=sys.stderr)
        with embedded_store(os.environ) as store:
            yield store
        return
    try:
        yield store
    finally:
        store.close()
