"""Accepting clients: one thread each, limits per user, an orderly end.

The main thread waits for connections and for the wish to stop; it decides who may connect before a thread exists, and a
refused peer is told so without anything of its own being looked at but the greeting (build users not even that).
Stopping: no new clients; sessions lose their sockets, which cancels their builds; builds are killed and cleaned up; then the store closes.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections import Counter
from collections.abc import Sequence

from fruix.daemon.connection import Connection
from fruix.daemon.errors import failure
from fruix.daemon.peers import Access, Peer, credentials
from fruix.daemon.service import Service
from fruix.daemon.session import Session
from fruix.errors import DisconnectedError, FruixError, NotPermittedError, ProtocolError
from fruix.protocol import handshake, messages

log = logging.getLogger(__name__)

# A peer that is refused gets this long (seconds) for its greeting.
REFUSAL_PATIENCE = 5


class Server:
    """Serves the clients of some listening sockets until `stop`."""

    def __init__(self, service: Service, listeners: Sequence[socket.socket]) -> None:
        self._service = service
        self._listeners = listeners
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

    def run(self) -> None:
        """Accept until `stop`, then end all sessions and wait for them."""
        poller = select.poll()
        sockets = {listener.fileno(): listener for listener in self._listeners}
        for descriptor in (*sockets, self._stop_receiver.fileno()):
            poller.register(descriptor, select.POLLIN)
        try:
            while True:
                ready = [descriptor for descriptor, _ in poller.poll()]
                if self._stop_receiver.fileno() in ready:
                    return
                for descriptor in ready:
                    self._accept(sockets[descriptor])
        finally:
            self._end_sessions()

    def _accept(self, listener: socket.socket) -> None:
        try:
            stream, _ = listener.accept()
        except OSError as error:
            # Too many open files, or a client that has left already: the others must not suffer.
            log.warning("can't accept a connection: %s", error)
            return
        try:
            self.serve(stream)
        except (FruixError, OSError, RuntimeError) as error:
            log.warning("connection refused: %s", error)
            stream.close()

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

    def _end_sessions(self) -> None:
        with self._lock:
            running = list(self._sessions.items())
            for _, stream in running:
                _shut(stream)
        for thread, _ in running:
            thread.join()
        self._stop_receiver.close()
        self._stop_sender.close()


def refuse(stream: socket.socket, error: FruixError, directory: str, version: str) -> None:
    """Greet a peer only to tell it why it isn't served."""
    connection = Connection(stream, patience=REFUSAL_PATIENCE)
    try:
        connection.begin()
        context = handshake.serve(
            connection.source, connection.send, directory=directory, version=version, trusted=False
        )
        connection.send(messages.encode(failure(error, context), context))
    except (DisconnectedError, ProtocolError):
        return


def _shut(stream: socket.socket) -> None:
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster
