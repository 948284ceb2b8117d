"""One client's socket: buffered reads with a deadline, whole writes, and word of the client's going away.

Between requests a client may be silent for as long as it likes. Within one, each receive must bring
something in time, and the fields of a request must be complete by a deadline, so that half a
message holds nothing for ever. The kernel does the timing (SO_RCVTIMEO): the common case stays one
system call for a read and one for a write.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fruix.daemon.expecting import Expectation
from fruix.errors import DisconnectedError
from fruix.protocol.reader import CHUNK, Account, Source
from fruix.threads import Thread

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.store.tree.plain_dump import OpenFile

_MOST_HELD = 1 << 16  # bytes of messages that wait for the next to be sent with them
# Bytes of a file that may be on their way to a client. With the usual 208 KiB of Linux, 8 of FreeBSD, both
# sides wait for each other most of the time. The file's pages lie in memory anyway.
_ON_THE_WAY = 1 << 19


class Connection:
    """One client's socket, read through `source`."""

    def __init__(self, stream: socket.socket, *, patience: int = 60, account: Account | None = None) -> None:
        """Take over a connected socket.

        Args:
            stream: closed by `close`.
            patience: seconds that a client has for the rest of what it began.
            account: counts what its requests hold.
        """
        stream.setblocking(True)
        if stream.family != socket.AF_UNIX:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # requests wait for answers
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", patience, 0))
        self.stream = stream
        self.source = Source(self._receive, account)
        self._patience = patience
        self._expectation = Expectation(stream)
        self._deadline: float | None = None
        self._held = bytearray()
        self._wide = stream.family != socket.AF_UNIX  # TCP finds its own measure

    def wait(self) -> bool:
        """Wait for a request to begin; False if the client has left instead."""
        return bool(self.source.buffered) or self.source.feed(self.arrived() or b"")

    def arrived(self) -> bytes | None:
        """Wait for a request to begin: all that has come of it, to be fed to `source`; None: the client left.

        Empty where it began to arrive together with the one before, the rest of which `source` has.
        """
        if self.source.buffered:
            return self.source.take_back()
        while True:
            try:
                return self._expectation.receive(CHUNK) or None
            except BlockingIOError:
                continue
            except OSError as error:
                raise DisconnectedError(f"the client has gone: {error}") from error

    def more(self) -> bytes:
        """Wait for what follows on `arrived`; empty: the client left.

        Raises:
            DisconnectedError: as any reading within a request.
        """
        return self._receive(CHUNK)

    def begin(self) -> None:
        """What is read from here to `complete` has to arrive in time (streams come after it)."""
        self._deadline = time.monotonic() + self._patience

    def complete(self) -> None:
        """Lift the deadline that `begin` set."""
        self._deadline = None

    def hold(self, data: bytes) -> None:
        """Send it with what follows, or by `flush`: each piece that is sent wakes the client.

        Raises:
            DisconnectedError: there was much already, and the client has gone.
        """
        self._held += data
        if len(self._held) > _MOST_HELD:
            self.flush()

    def flush(self) -> None:
        """Send what is held.

        Raises:
            DisconnectedError: the client has gone.
        """
        if self._held:
            self.send(b"")

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it, after what is held.

        Raises:
            DisconnectedError: the client has gone.
        """
        if self._held:
            data, self._held = self._held + data, bytearray()
        try:
            self.stream.sendall(data)
        except OSError as error:
            raise DisconnectedError(f"the client has gone: {error}") from error

    def send_file(self, file: OpenFile) -> None:
        """Send the contents of an open file.

        Raises:
            DisconnectedError: the client has gone.
            ObjectRejectedError: the file changed meanwhile.
            OSError: it can't be read.
        """
        # A daemon has it already; one that can't serve, and only says so, may lack what it needs (`ctypes`).
        from fruix.store.tree.file_contents import send  # noqa: PLC0415

        if file.size > _ON_THE_WAY and not self._wide:
            self._wide = True
            with suppress(OSError):  # more than this system allows
                self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ON_THE_WAY)
        try:
            send(file.descriptor, file.size, self.stream.fileno(), where=file.where)
        except ConnectionError as error:
            raise DisconnectedError(f"the client has gone: {error}") from error

    def send_descriptor(self, data: bytes, descriptor: int) -> None:
        """Send data with a descriptor that the client gets a copy of.

        Raises:
            DisconnectedError: the client has gone.
        """
        self.flush()
        try:
            sent = socket.send_fds(self.stream, [data], [descriptor])
        except OSError as error:
            raise DisconnectedError(f"the client has gone: {error}") from error
        if sent < len(data):
            self.send(data[sent:])

    def end(self) -> None:
        """Nothing more is read. The socket stays open."""
        self._expectation.end()

    def close(self) -> None:
        """Close the socket; the client sees the end of the stream."""
        self.stream.close()

    def _receive(self, limit: int) -> bytes:
        try:
            data = self.stream.recv(limit)
        except BlockingIOError:
            raise DisconnectedError("the client stopped in the middle of a message") from None
        except OSError as error:
            raise DisconnectedError(f"the client has gone: {error}") from error
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise DisconnectedError("the client took too long to send a request")
        return data


class HangupWatcher:
    """Sets an event when a client goes away while its session is busy. One thread for all sessions."""

    # Where the system can't tell that the other side closed its half, readable with nothing to read
    # means the same.
    _EVENTS = getattr(select, "POLLRDHUP", select.POLLIN)

    def __init__(self) -> None:
        self._wake_receiver, self._wake_sender = socket.socketpair()
        # What is added to an epoll is waited for at once; elsewhere the thread has to begin its wait anew.
        self._is_heard = hasattr(select, "epoll")
        self._poller = select.epoll() if self._is_heard else select.poll()
        self._poller.register(self._wake_receiver, select.POLLIN)
        self._watched: dict[int, tuple[socket.socket, threading.Event]] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._thread = Thread(target=self._run, name="hangups")
        self._thread.start()

    @contextmanager
    def watch(self, stream: socket.socket) -> Iterator[threading.Event]:
        """An event that is set if the client of `stream` leaves during this context."""
        gone = threading.Event()
        descriptor = stream.fileno()
        with self._lock:
            self._watched[descriptor] = stream, gone
            self._poller.register(descriptor, self._EVENTS)
        if not self._is_heard:
            self._wake()
        try:
            yield gone
        finally:
            with self._lock:
                if self._watched.pop(descriptor, None):
                    self._poller.unregister(descriptor)

    def look(self) -> None:
        """Set the events of those who have gone up to now, also where the thread has not heard of it yet."""
        with self._lock:
            for descriptor in self._ready(list(self._watched)):
                self._tell(descriptor)

    def close(self) -> None:
        """End the thread, wait for it, and close the sockets that wake it; events stay as they are."""
        self._closing = True
        self._wake()
        self._thread.join()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _wake(self) -> None:
        self._wake_sender.send(b"x")

    def _run(self) -> None:
        while not self._closing:
            for descriptor, _ in self._poller.poll():
                if descriptor == self._wake_receiver.fileno():
                    self._wake_receiver.recv(4096)
                else:
                    self._look(descriptor)

    def _look(self, descriptor: int) -> None:
        with self._lock:
            # By now it may be another client's.
            if descriptor in self._watched and self._ready([descriptor]):
                self._tell(descriptor)

    def _ready(self, descriptors: list[int]) -> list[int]:
        poller = select.poll()
        for descriptor in descriptors:
            poller.register(descriptor, self._EVENTS)
        return [descriptor for descriptor, _ in poller.poll(0)]

    def _tell(self, descriptor: int) -> None:
        stream, gone = self._watched[descriptor]
        if self._EVENTS == select.POLLIN and _has_data(stream):
            # It sent its next request early; from here on only a real hang-up counts.
            self._poller.modify(descriptor, 0)
            return
        gone.set()
        del self._watched[descriptor]
        self._poller.unregister(descriptor)


def _has_data(stream: socket.socket) -> bool:
    try:
        return bool(stream.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
