"""Serving the builders of recursive builds: one thread that accepts, one a connection, for each such build.

Who connects has to be the build user, which nobody else is while the build runs, and the socket lies
where only that build's sandbox and root can come. When the build has ended, so do its sessions:
whatever they were at is given up, and nothing is added to the build any more.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fruix.building.nested import Talk
from fruix.daemon.builder_session import BuilderSession
from fruix.daemon.handlers import for_builders
from fruix.daemon.peers import credentials
from fruix.daemon.request_loop import RequestLoop
from fruix.daemon.service import Service
from fruix.log import Log
from fruix.threads import Thread

log = Log(__name__)

MOST_SESSIONS = 16
"""Of one build at once; more wait for their turn."""
LAST_WORDS = 5.0  # seconds that sessions get for giving up


@contextmanager
def serve_builder(service: Service, talk: Talk) -> Iterator[None]:
    """Serve a builder during this context (see `building.nested.Serve`)."""
    serving = _Serving(service, talk)
    serving.start()
    try:
        yield
    finally:
        serving.end()


class _Serving:
    """The sessions of one build."""

    def __init__(self, service: Service, talk: Talk) -> None:
        self._service = service
        self._talk = talk
        self._free = threading.BoundedSemaphore(MOST_SESSIONS)
        self._lock = threading.Lock()
        self._sessions: dict[threading.Thread, socket.socket] = {}
        self._ending = False
        self._wake, self._woken = socket.socketpair()
        self._acceptor = Thread(target=self._accept_all, name="builder-sessions")

    def start(self) -> None:
        self._acceptor.start()

    def end(self) -> None:
        """End all sessions; what they do is given up, and they are waited for."""
        with self._lock:
            self._ending = True
        self._talk.known.end()
        self._wake.close()
        with self._lock:
            sessions = dict(self._sessions)
            for stream in sessions.values():
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._woken.close()
        deadline = time.monotonic() + LAST_WORDS
        for thread in sessions:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("a session of the builder of '%s' takes long to end", self._talk.known.drv)

    def _accept_all(self) -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        poller.register(self._talk.listener, select.POLLIN)
        while not self._ending:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self._woken.fileno() in ready:
                return
            if not self._free.acquire(timeout=1):
                continue
            try:
                stream, _ = self._talk.listener.accept()
            except OSError:
                self._free.release()
                continue
            if not self._begin(stream):
                stream.close()
                self._free.release()

    def _begin(self, stream: socket.socket) -> bool:
        """Start a session; False: it isn't the builder's, or there is no thread for it."""
        try:
            peer = credentials(stream)
            if peer.uid != self._talk.uid:
                log.warning("user %s at the socket of the build '%s'", peer.uid, self._talk.known.drv)
                return False
            session = BuilderSession(stream, peer, self._service, self._talk)
            thread = Thread(target=self._work, args=(session, stream), name="builder-session")
            with self._lock:
                if self._ending:
                    return False
                self._sessions[thread] = stream
                thread.start()
        except (OSError, RuntimeError) as error:
            log.warning("a builder's connection: %s", error)
            return False
        return True

    def _work(self, session: BuilderSession, stream: socket.socket) -> None:
        try:
            RequestLoop(
                session,
                only=for_builders.ONLY,
                handlers=for_builders.HANDLERS,
                refusal=(for_builders.REFUSAL, ""),
            ).run()
        except Exception:  # the thread's last resort: the daemon goes on
            log.exception("session of the builder of '%s' failed", self._talk.known.drv)
        finally:
            with self._lock:
                self._sessions.pop(threading.current_thread(), None)
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
            stream.close()
            self._free.release()
