"""A daemon for one client, in a child process: `fruix build` on a machine where no daemon runs.

The same code in a forked child at the other end of a socket pair: spawner, settings, store, one
session. It ends when its client does, however that ends, and takes running builds with it. One at a
time works on a state directory; a second one waits for the first. What keeps it from starting is
told to the client in the greeting. A socket of its own tells others what it builds, and nothing
else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fruix.children import hear_of_children
from fruix.daemon import rootless
from fruix.daemon.listening import StateLock
from fruix.errors import (
    DisconnectedError,
    FruixError,
    ProtocolError,
    StoreError,
    UnreachableError,
    of_missing_module,
    of_system,
)
from fruix.store.layout import Layout
from fruix.threads import Thread

if TYPE_CHECKING:
    from fruix.client import RemoteStore
    from fruix.daemon.peers import Peer
    from fruix.daemon.service import Service

OWNER = "embedded daemon"


@contextmanager
def embedded_store(environment: Mapping[str, str], home: str | None = None) -> Iterator[RemoteStore]:
    """A store served by a child of this process; see `embedded_stream`."""
    from fruix.client import RemoteStore  # noqa: PLC0415 - the child doesn't need it

    directory = Layout.from_environment(environment).store
    with (
        embedded_stream(environment, home) as stream,
        RemoteStore(stream, directory, where="the embedded daemon") as store,
    ):
        yield store


@contextmanager
def embedded_stream(environment: Mapping[str, str], home: str | None = None) -> Iterator[socket.socket]:
    """A connection to a child of this process that serves it; no thread may have been started yet.

    What keeps the child from serving is its answer to a greeting.

    Args:
        environment: as of this process.
        home: without root, the user's directory: parent and child both see it at `/frx` from then
            on (see `rootless`).
    """
    layout = Layout.from_environment(environment)
    parent_end, child_end = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        parent_end.close()
        _child(child_end, environment, layout, home)
    child_end.close()
    try:
        if home is not None:
            rootless.enter_view(home)
        yield parent_end
    finally:
        parent_end.close()
        # Where a program ignores SIGCHLD the kernel has reaped it.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def _child(stream: socket.socket, environment: Mapping[str, str], layout: Layout, home: str | None) -> None:
    """Serve and leave, without anything that the parent wanted to do at its own exit."""
    status = 1
    try:
        # The terminal's signals are for the client; when it dies of them, the socket tells.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGUSR1):  # the client answers to those
            signal.signal(number, signal.SIG_IGN)
        hear_of_children()
        os.umask(0o022)
        logging.basicConfig(level=logging.WARNING, format="fruix daemon: %(message)s", stream=sys.stderr)
        _serve(stream, environment, layout, home)
        status = 0
    except BaseException:  # nothing may get back into the parent's code
        logging.getLogger("fruix.daemon").exception("embedded daemon failed")
    finally:
        os._exit(status)


def _serve(stream: socket.socket, environment: Mapping[str, str], layout: Layout, home: str | None) -> None:
    with ExitStack() as closing:
        try:
            from fruix import failpoints  # noqa: PLC0415 - none of it is needed beside a real daemon
            from fruix.building.steps import known_steps  # noqa: PLC0415
            from fruix.daemon.opening import open_service  # noqa: PLC0415
            from fruix.daemon.peers import Peer  # noqa: PLC0415
            from fruix.daemon.settings import load  # noqa: PLC0415
            from fruix.sandbox.spawner.forking import Forked  # noqa: PLC0415

            if home is not None:
                rootless.become_root(home)
            failpoints.begin(environment, known_steps)
            spawner = Forked.start()
            failpoints.know("spawner", spawner.pid)
            closing.callback(spawner.close)
            settings = load(environment) if home is None else load(environment).for_one_user()
            layout.create()
            lock = closing.enter_context(StateLock(layout.state))
            _take(lock)
            service = open_service(layout, settings, spawner, relock=lock.take_again)
            closing.callback(service.close)
        except (FruixError, OSError, ModuleNotFoundError) as error:
            _refuse(stream, _problem(error), layout.store)
            return
        with _seen_by_others(layout, service):
            serve_one(stream, Peer(os.geteuid(), os.getegid(), os.getppid()), service)
        service.store.wait_for_deduplication()  # nobody else would do it


@contextmanager
def _seen_by_others(layout: Layout, service: Service) -> Iterator[None]:
    """Meanwhile `fruix ps` is answered, on a thread. Where there can be no socket, builds go on without."""
    from fruix.daemon import listening  # noqa: PLC0415
    from fruix.daemon.server import Server  # noqa: PLC0415
    from fruix.protocol.nix import QueryActiveBuilds  # noqa: PLC0415

    path = layout.embedded_socket
    try:
        listener = listening.listen(path)
    except (FruixError, OSError) as error:
        logging.getLogger("fruix.daemon").info("not seen by 'fruix ps': %s", error)
        yield
        return
    server = Server(service, [listener], only=frozenset({QueryActiveBuilds}))
    thread = Thread(target=server.run, name="others")
    thread.start()
    try:
        yield
    finally:
        listening.forget(path)
        server.stop()
        thread.join()
        listener.close()


def _refuse(stream: socket.socket, error: FruixError, directory: str) -> None:
    """Greet the client, who is one of this very program, only to give it `error` with its class."""
    from fruix.daemon.connection import Connection  # noqa: PLC0415
    from fruix.daemon.error_messages import failure  # noqa: PLC0415
    from fruix.protocol import handshake, messages  # noqa: PLC0415

    connection = Connection(stream)
    try:
        connection.begin()
        context = handshake.serve(
            connection.source, connection.send, directory=directory, version="fruix", trusted=False
        )
        connection.send(messages.encode(failure(error, context), context))
    except (DisconnectedError, ProtocolError):
        return


def _problem(error: FruixError | OSError | ModuleNotFoundError) -> FruixError:
    """The error that the client is told for one that kept the child from serving.

    Raises:
        ModuleNotFoundError: a module is missing that no Python lacks: a bug.
    """
    if isinstance(error, ModuleNotFoundError):
        lacking = of_missing_module(error)
        if lacking is None:
            raise error
        return lacking
    return error if isinstance(error, FruixError) else of_system(error)


def serve_one(stream: socket.socket, peer: Peer, service: Service) -> None:
    """One trusted session on this thread."""
    from fruix.daemon.request_loop import RequestLoop  # noqa: PLC0415
    from fruix.daemon.session import Session  # noqa: PLC0415

    RequestLoop(Session(stream, peer, service, trusted=True)).run()
    stream.close()


def _take(lock: StateLock) -> None:
    """Take the state's lock: wait for another embedded daemon, which ends with its client.

    Raises:
        UnreachableError: a real daemon holds it.
    """
    try:
        lock.take(OWNER)
    except StoreError as error:
        holder = lock.holder()
        if not holder.startswith(OWNER):
            raise UnreachableError(
                f"a daemon works on this store ({holder}), but doesn't answer at the socket",
                where=lock.path,
                hint="name its socket in FRUIX_DAEMON_SOCKET, or stop it",
            ) from error
        logging.getLogger("fruix.daemon").warning("waiting for another fruix (%s)", holder)
        lock.take(OWNER, wait=True)
