"""Accepting clients: one thread each, limits per user, an orderly end.

The main thread waits for connections and for the wish to stop; it decides who may connect before a thread exists, and a
refused peer is told so without anything of its own being looked at but the greeting (build users not even that).
Stopping: no new clients; sessions lose their sockets, which cancels their builds; builds are killed and cleaned up; then the store closes.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from fruix.daemon.connection import Connection
from fruix.daemon.errors import failure
from fruix.daemon.peers import Access, Peer, credentials
from fruix.daemon.service import Service
from fruix.daemon.session import Session
from fruix.errors import DisconnectedError, FruixError, NotPermittedError, ProtocolError
from fruix.protocol import handshake, messages

log = logging.getLogger(__name__)

# Seconds: what a refused peer gets for its greeting, sessions for telling their clients of the end, the kernel when it has no descriptor.
REFUSAL_PATIENCE = 5
LAST_WORDS = 5.0
RETRY_PAUSE = 0.1

STOPPING = "the daemon is shutting down"
NO_SPAWNER = "the process that starts builders (the spawner) has gone"
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})


class HasDescriptor(Protocol):
    """Something that can be polled."""

    def fileno(self) -> int:
        """Its descriptor."""


class Server:
    """Serves the clients of some listening sockets until `stop`."""

    def __init__(
        self, service: Service, listeners: Sequence[socket.socket], spawner: HasDescriptor | None = None
    ) -> None:
        """`spawner`: what is readable once the spawner has gone, without which nothing can be built."""
        self._service = service
        self._listeners = listeners
        self._spawner = spawner
        self._spare = _spare_descriptor()
        settings = service.settings
        self._access = Access(settings.allowed_users, settings.trusted_users, settings.build.uids)
        self._lock = threading.Lock()
        self._sessions: dict[threading.Thread, socket.socket] = {}
        self._users: Counter[int] = Counter()
        self._stop_receiver, self._stop_sender = socket.socketpair()
        self._stop_sender.setblocking(False)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler."""
        try:
            self._stop_sender.send(b"x")
        except OSError:
            return  # it is stopping already

    def run(self) -> bool:
        """Accept until `stop`, then end all sessions and wait for them.

        Returns:
            False when it ended because the spawner has gone: the daemon has to be started again.
        """
        poller = select.poll()
        sockets = {listener.fileno(): listener for listener in self._listeners}
        stop = self._stop_receiver.fileno()
        spawner = self._spawner.fileno() if self._spawner else stop
        for descriptor in (*sockets, stop, spawner):
            poller.register(descriptor, select.POLLIN)
        reason = STOPPING
        try:
            while True:
                ready = [descriptor for descriptor, _ in poller.poll()]
                if stop in ready:
                    return True
                if spawner in ready:
                    reason = NO_SPAWNER
                    log.error("%s: ending, to be started again", reason)
                    self._service.builder.close()  # what ran fails by itself, and says why
                    return False
                for descriptor in ready:
                    self._accept(sockets[descriptor])
        finally:
            self._end_sessions(reason)

    def _accept(self, listener: socket.socket) -> None:
        try:
            stream, _ = listener.accept()
        except OSError as error:
            log.warning("can't accept a connection: %s", error)
            if error.errno in _TOO_MANY_FILES:
                self._refuse_for_want_of_descriptors(listener)
            return  # else a client that has left already
        try:
            self.serve(stream)
        except (FruixError, OSError, RuntimeError) as error:
            log.warning("connection refused: %s", error)
            if not isinstance(error, NotPermittedError):
                self._refuse_here(stream, f"the daemon can't serve another client now: {error}")
            stream.close()

    def _refuse_for_want_of_descriptors(self, listener: socket.socket) -> None:
        """Tell the client, by means of the one descriptor that is kept for that; the others go on."""
        if self._spare >= 0:
            os.close(self._spare)
            with contextlib.suppress(OSError), listener.accept()[0] as stream:
                self._refuse_here(stream, "the daemon has too many open files")
        self._spare = _spare_descriptor()
        if self._spare < 0:
            time.sleep(RETRY_PAUSE)  # somebody else took it: don't ask the kernel all the time

    def _refuse_here(self, stream: socket.socket, why: str) -> None:
        """On the main thread, so with little patience: who hasn't even greeted is left without a word."""
        if not select.select([stream], [], [], RETRY_PAUSE)[0]:
            return
        error = FruixError(
            why, hint="ask again a little later, or raise the limits that the daemon runs under"
        )
        with contextlib.suppress(OSError):
            refuse(stream, error, self._service.store.directory, self._service.version, patience=1)

    def serve(self, stream: socket.socket) -> None:
        """Serve a connected socket in a thread of its own, which closes it.

        Raises:
            NotPermittedError: refused without an answer.
            OSError: the kernel doesn't say who it is.
            RuntimeError: no thread can be started.
        """
        peer = credentials(stream)
        if peer.uid in self._access.build_uids:
            raise NotPermittedError(f"user {peer.uid} is a build user")
        refusal = None
        trusted = False
        try:
            trusted = self._access.admit(peer)
            self._check_limits(peer)
        except NotPermittedError as error:
            refusal = error
        thread = threading.Thread(
            target=self._work, args=(stream, peer, trusted, refusal), name=f"client-{peer.pid}", daemon=True
        )
        with self._lock:
            self._sessions[thread] = stream
            self._users[peer.uid] += 1
        try:
            thread.start()
        except RuntimeError:
            self._forget(thread, peer)
            raise

    def _check_limits(self, peer: Peer) -> None:
        settings = self._service.settings
        with self._lock:
            total, own = len(self._sessions), self._users[peer.uid]
        if total >= 2 * settings.max_connections:
            raise NotPermittedError("too many connections", hint="raise 'max-connections'")
        if peer.uid != 0 and own >= settings.max_connections_per_user:
            raise NotPermittedError(
                f"user {peer.uid} has {own} connections already", hint="raise 'max-connections-per-user'"
            )

    def _work(self, stream: socket.socket, peer: Peer, trusted: bool, refusal: FruixError | None) -> None:
        try:
            if refusal is None:
                connection = Connection(stream, patience=self._service.settings.request_timeout)
                Session(connection, peer, self._service, trusted=trusted).run()
            else:
                refuse(stream, refusal, self._service.store.directory, self._service.version)
        except Exception:  # the thread's last resort: the daemon goes on
            log.exception("session of user %s failed", peer.uid)
        finally:
            self._forget(threading.current_thread(), peer)
            stream.close()

    def _forget(self, thread: threading.Thread, peer: Peer) -> None:
        with self._lock:
            self._sessions.pop(thread, None)
            self._users[peer.uid] -= 1
            if not self._users[peer.uid]:
                del self._users[peer.uid]

    def _end_sessions(self, reason: str) -> None:
        """Those that wait for a request end; those that build are told, and have a moment to tell their client."""
        self._service.stopping = reason
        with self._lock:
            running = list(self._sessions.items())
            for _, stream in running:
                _shut(stream, socket.SHUT_RD)
        deadline = time.monotonic() + LAST_WORDS
        for thread, _ in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            for stream in self._sessions.values():
                _shut(stream, socket.SHUT_RDWR)
        for thread, _ in running:
            thread.join()
        if self._spare >= 0:
            os.close(self._spare)
        self._stop_receiver.close()
        self._stop_sender.close()


def refuse(
    stream: socket.socket,
    error: FruixError,
    directory: str,
    version: str,
    *,
    patience: int = REFUSAL_PATIENCE,
) -> None:
    """Greet a peer only to tell it why it isn't served."""
    connection = Connection(stream, patience=patience)
    try:
        connection.begin()
        context = handshake.serve(
            connection.source, connection.send, directory=directory, version=version, trusted=False
        )
        connection.send(messages.encode(failure(error, context), context))
    except (DisconnectedError, ProtocolError):
        return


def _shut(stream: socket.socket, how: int) -> None:
    try:
        stream.shutdown(how)
    except OSError:
        return  # the client was faster


def _spare_descriptor() -> int:
    """One that can be given up to accept a client only to refuse it; -1 if there is none."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
