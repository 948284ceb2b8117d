"""The store that a command talks to: the daemon's, else one that is embedded in a child process."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fruix.client import RemoteStore, connect, socket_path
from fruix.client.address import connected
from fruix.daemon import rootless
from fruix.errors import UnreachableError
from fruix.store.layout import Layout

if TYPE_CHECKING:
    from fruix.client.question import Begun


def layout() -> Layout:
    """The directories that the environment names."""
    return Layout.from_environment(os.environ)


def log_directory() -> str:
    """Where the logs of builds are.

    That is also right where the store is a user's own, which this process may not see at its place.
    """
    logs = layout().logs
    if not rootless.possible() or _system_s_daemon_answers() or not logs.startswith(f"{rootless.PLACE}/"):
        return logs
    own = rootless.home(os.environ) + logs.removeprefix(rootless.PLACE)
    return own if os.path.isdir(own) else logs


def connect_running(begun: Begun | None = None) -> RemoteStore:
    """Connect to a daemon that runs already.

    Without root the user's own daemon counts too; then this process sees the user's store at `/frx`
    from here on.

    `begun`: a connection on which the command has begun.

    Raises:
        UnreachableError: no daemon answers.
    """
    if begun is not None:
        from fruix.client.resumed import ResumedStream  # noqa: PLC0415 - only then

        stream = ResumedStream(begun.descriptor, begun.sent, begun.heard)
        return connect(begun.address, stream=stream)
    try:
        return connect(socket_path(os.environ))
    except UnreachableError:
        if not _own_answers(layout().socket):
            raise
    rootless.enter_view(rootless.home(os.environ))
    return connect(socket_path(os.environ))


def connect_looking() -> RemoteStore:
    """Connect to a daemon, or to one that is embedded in another command, to ask what it builds.

    Raises:
        UnreachableError: no daemon answers, of either kind.
    """
    try:
        return connect_running()
    except UnreachableError as error:
        path = layout().embedded_socket
        if _own_answers(path):
            rootless.enter_view(rootless.home(os.environ))
        try:
            return connect(path)
        except UnreachableError:
            raise error from None


@contextmanager
def open_store(begun: Begun | None = None) -> Iterator[RemoteStore]:
    """A connection for the length of a command: to a daemon, else to one embedded for it.

    `begun`: one on which the command has begun.

    Raises:
        FruixError: what keeps an embedded daemon from working.
    """
    try:
        store = connect_running(begun)
    except UnreachableError:
        import zlib  # noqa: F401, PLC0415 - logs of builds need it; a Python without it is told of here

        from fruix.daemon.embedded import embedded_store  # noqa: PLC0415 - only when there is no daemon

        print(no_daemon(), file=sys.stderr)
        with embedded_store(os.environ, _own_home()) as store:
            yield store
        return
    with store:
        yield store


@contextmanager
def open_stream() -> Iterator[socket.socket]:
    """A connection on which nothing has been said yet: to a daemon, else to one embedded for it.

    Raises:
        FruixError: what keeps an embedded daemon from working.
    """
    path = socket_path(os.environ)
    try:
        stream = connected(path)
    except UnreachableError:
        if _own_answers(path):
            rootless.enter_view(rootless.home(os.environ))
            stream = connected(path)
        else:
            from fruix.daemon.embedded import embedded_stream  # noqa: PLC0415 - only when there is no daemon

            with embedded_stream(os.environ, _own_home()) as embedded:
                yield embedded
            return
    with stream:
        yield stream


def no_daemon() -> str:
    """What a command says that finds no daemon."""
    home = _own_home()
    whose = f" on the store in {home} ('fruix shell' shows it at {rootless.PLACE})" if home else ""
    return f"no daemon at the socket: working with an embedded one{whose}"


def seen_outside(path: str) -> str:
    """The name that a place of the store which this process sees has for those who don't see the store."""
    if not rootless.possible() or not path.startswith(f"{rootless.PLACE}/"):
        return path
    own = rootless.home(os.environ) + path.removeprefix(rootless.PLACE)
    parents = [os.path.dirname(each) for each in (path, own)]
    return own if all(map(os.path.isdir, parents)) and os.path.samefile(*parents) else path


def _own_home() -> str | None:
    return rootless.home(os.environ) if rootless.possible() else None


def sees_files() -> bool:
    """Whether this process sees the files of the store that `open_store` gives, once it is open.

    It does but where the environment names the socket of some other daemon.
    """
    return socket_path(os.environ) == layout().socket


def see_store() -> None:
    """Have the store at its place for this process and what it executes.

    Where the system's daemon answers it is there already.

    Raises:
        FruixError: the host allows no user namespace; says which of its settings.
    """
    if not rootless.possible():
        return
    if not _system_s_daemon_answers():
        rootless.enter_view(rootless.home(os.environ))


def _system_s_daemon_answers() -> bool:
    try:
        connect(socket_path(os.environ)).close()
    except UnreachableError:
        return False
    return True


def _own_answers(path: str) -> bool:
    return rootless.possible() and rootless.answers(rootless.home(os.environ), path)
