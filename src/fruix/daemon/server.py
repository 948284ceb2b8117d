"""Accepting clients: one thread each, limits on connections, an orderly end.

The main thread waits for connections and for the wish to stop. It decides who may connect, and
refuses, before a thread exists and without waiting for the client (see `refusing`); a build user's
connection is closed without a word. What is refused is not counted. Root and trusted users have a
reserve of connections that nobody else can take.

Stopping, at once or when what is built then has ended (`ending`): no new clients; sessions lose
their sockets, which cancels their builds; builds are killed and cleaned up; then the store closes.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence

from fruix.daemon import refusing
from fruix.daemon.ending import Ending
from fruix.daemon.peers import Access, Admission, Peer, credentials
from fruix.daemon.refusing import Refused
from fruix.daemon.request_loop import Only, RequestLoop
from fruix.daemon.service import Service
from fruix.daemon.session import Session
from fruix.errors import FruixError, NotPermittedError
from fruix.log import Log
from fruix.threads import Thread

log = Log(__name__)

# Seconds: what sessions get for telling their clients of the end, the kernel when it has no
# descriptor.
LAST_WORDS = 5.0
RETRY_PAUSE = 0.1

STOPPING = "the daemon is shutting down"
NO_SPAWNER = "the process that starts builders (the spawner) has gone"
_LATER = "ask again a little later, or raise the limits that the daemon runs under"
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_UNKNOWN_USER = -1


class Server:
    """Serves the clients of some listening sockets until `stop`."""

    def __init__(
        self,
        service: Service,
        listeners: Sequence[socket.socket],
        spawner: int | None = None,
        *,
        only: Only = None,
    ) -> None:
        """What to serve, and where.

        Args:
            service: shared by all sessions.
            listeners: sockets.
            spawner: a descriptor, readable once the spawner has gone, without which nothing can be built.
            only: the operations that clients may ask for, if not all.
        """
        self._service = service
        self._only = only
        self._listeners = listeners
        self._spawner = spawner
        self._spare = _spare_descriptor()
        settings = service.settings
        self._build_uids = settings.build.uids
        self._admission = Admission(
            Access(
                settings.allowed_users,
                settings.trusted_users,
                self._build_uids,
                trusts_own_user=settings.trusts_own_user,
            )
        )
        self._lock = threading.Lock()
        self._sessions: dict[threading.Thread, socket.socket] = {}
        self._users: Counter[int] = Counter()
        self._poller = select.poll()
        self._refused = Refused(self._poller)
        self._ending = Ending(service.half.drain)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    def hear_signals(self) -> None:
        """Have signals with a handler end any wait of `run`; for the main thread."""
        self._ending.hear_signals()

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler."""
        self._ending.now()

    def drain(self) -> None:
        """Make `run` return when the builds that run have ended; called again, at once. No other one begins.

        Meanwhile clients come and go, and are answered whatever takes no build.
        """
        self._ending.drain()

    def run(self) -> bool:
        """Accept until `stop`, then end all sessions and wait for them.

        Returns:
            False when it ended because the spawner has gone: the daemon has to be started again.
        """
        sockets = {listener.fileno(): listener for listener in self._listeners}
        stop = self._ending.fileno()
        for descriptor in (*sockets, stop, *([] if self._spawner is None else [self._spawner])):
            self._poller.register(descriptor, select.POLLIN)
        reason = STOPPING
        try:
            while True:
                ready = self._ready()
                if self._ending.hear(lambda: self.connections):
                    return True
                if self._spawner in ready:
                    reason = NO_SPAWNER
                    log.error("%s: ending, to be started again", reason)
                    self._service.half.close()  # what ran fails by itself, and says why
                    return False
                for descriptor in ready:
                    if descriptor in sockets:
                        self._accept(sockets[descriptor])
                    elif descriptor != stop:
                        self._refused.forget(descriptor)
        finally:
            self._end_sessions(reason)

    def _ready(self) -> list[int]:
        due = [seconds for seconds in (self._refused.expire(), self._ending.due()) if seconds is not None]
        return [descriptor for descriptor, _ in self._poller.poll(min(due) * 1000 if due else None)]

    def _accept(self, listener: socket.socket) -> None:
        try:
            stream, _ = listener.accept()
        except OSError as error:
            self._warn(_UNKNOWN_USER, f"can't accept a connection: {error}")
            if error.errno in _TOO_MANY_FILES:
                self._refuse_for_want_of_descriptors(listener)
            return  # else a client that has left already
        self.serve(stream)

    def _refuse_for_want_of_descriptors(self, listener: socket.socket) -> None:
        """Make room by forgetting a refused client, else by the descriptor that is kept for that.

        The refused connection is then what is kept, until the next one needs its descriptor.
        """
        if self._refused.forget_oldest():
            return
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        try:
            stream, _ = listener.accept()
        except OSError:
            self._spare = _spare_descriptor()
            time.sleep(RETRY_PAUSE)  # somebody else took it: don't ask the kernel all the time
            return
        refusing.tell(stream, FruixError("the daemon has too many open files", hint=_LATER))
        self._spare = stream.detach()

    def serve(self, stream: socket.socket) -> None:
        """Serve a connected socket in a thread of its own, which closes it, or refuse it."""
        try:
            peer = credentials(stream)
        except OSError as error:
            self._warn(_UNKNOWN_USER, f"connection refused: {error}")
            stream.close()
            return
        if peer.uid in self._build_uids:
            self._warn(peer.uid, f"connection refused: user {peer.uid} is a build user")
            stream.close()
            return
        try:
            trusted = self._admit(peer)
            self._start(stream, peer, trusted=trusted)
        except FruixError as error:
            self._warn(peer.uid, f"connection refused: {error}")
            self._refused.tell(stream, peer.uid, error)

    def _admit(self, peer: Peer) -> bool:
        """Whether the peer is trusted. The limit that needs no look-up of names comes first.

        Raises:
            NotPermittedError: not allowed to connect, or too many connections.
        """
        settings = self._service.settings
        own, total = self._users[peer.uid], len(self._sessions)
        if peer.uid != 0 and own >= settings.max_connections_per_user:
            raise NotPermittedError(
                f"user {peer.uid} has {own} connections already",
                hint="close some; the daemon's setting 'max-connections-per-user' allows more",
            )
        trusted = self._admission.admit(peer)
        most = settings.max_connections + (settings.reserved_connections if trusted else 0)
        if total >= most:
            raise NotPermittedError(
                f"the daemon has {total} connections already",
                hint="ask again a little later; the daemon's setting 'max-connections' allows more",
            )
        return trusted

    def _start(self, stream: socket.socket, peer: Peer, *, trusted: bool) -> None:
        """Count the session and start its thread.

        Raises:
            FruixError: no thread can be started.
        """
        thread = Thread(
            target=self._work,
            args=(stream, peer, trusted),
            name=f"client-{peer.pid}",
        )
        with self._lock:
            self._sessions[thread] = stream
            self._users[peer.uid] += 1
        try:
            thread.start()
        except RuntimeError as error:
            self._forget(thread, peer)
            raise FruixError(f"the daemon can't serve another client now: {error}", hint=_LATER) from error

    def _work(self, stream: socket.socket, peer: Peer, trusted: bool) -> None:
        try:
            session = Session(stream, peer, self._service, trusted=trusted)
            RequestLoop(session, only=self._only).run()
        except Exception:  # noqa: BLE001 - the thread's last resort: the daemon goes on
            self._service.client_log.exception(peer.uid, "session of user %s failed", peer.uid)
        finally:
            self._forget(threading.current_thread(), peer)
            # Closing alone may tell the client nothing yet: a poll that still goes on in the thread
            # that watches for hang-ups holds the socket.
            _shut(stream, socket.SHUT_RDWR)
            stream.close()

    def _forget(self, thread: threading.Thread, peer: Peer) -> None:
        with self._lock:
            self._sessions.pop(thread, None)
            self._users[peer.uid] -= 1
            if not self._users[peer.uid]:
                del self._users[peer.uid]
        self._ending.client_left()

    def _warn(self, uid: int, text: str) -> None:
        self._service.client_log.warning(uid, "%s", text)

    def _end_sessions(self, reason: str) -> None:
        """End sessions that wait for a request; those that build get a moment to tell their client."""
        self._service.stopping = reason
        self._refused.close()
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
        self._ending.close()


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
