"""Requests and replies over one connection: in the Nix dialect, or in Guix's with its own daemon.

One request at a time. An error that the daemon reports leaves the connection usable and is raised
as the class that the daemon named; an error in the exchange itself (a disconnection, bytes that are
no message) closes it.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast

from fruix.errors import DisconnectedError, ProtocolError
from fruix.model.events import Event
from fruix.protocol import handshake, messages
from fruix.protocol.event_reader import EventReader
from fruix.protocol.operations import by_request
from fruix.protocol.own_errors import error_of
from fruix.protocol.reader import Source, frames
from fruix.protocol.records import Body, Operation, Request
from fruix.protocol.streams import NarBody
from fruix.protocol.wire import Dialect

# What one reply may hold: a million paths.
REPLY_LIMIT = 1 << 30
# Small pieces of a stream go out together.
SEND_SIZE = 1 << 18

# What is sent behind a request's fields.
_SENT: Mapping[Body, Callable[[Iterable[bytes] | None], Iterable[bytes]]] = {
    Body.NONE: lambda _: (),
    Body.FRAMED: lambda body: () if body is None else frames(iter(body)),
    Body.NAR: lambda body: body or (),
    Body.MESSAGES: lambda _: (),
}

OnEvent = Callable[[Event], None]
OnData = Callable[[bytes], object]
R = TypeVar("R")


class Exchange:
    """A greeted connection. Not for several threads at once."""

    def __init__(
        self, stream: socket.socket, directory: str, where: str, dialect: Dialect = Dialect.NIX
    ) -> None:
        """Greet the daemon at the other end.

        Args:
            stream: connected; owned from here on.
            directory: the store directory.
            where: how to call the other end in errors.
            dialect: what is spoken; Guix's is for its own daemon.

        Raises:
            ProtocolError: no daemon, or too old a one.
            GuixDaemonError: it is Guix's, where the Nix dialect was to be spoken.
            FruixError: what the daemon says against serving this user.
        """
        self._stream = stream
        self._where = where
        self._descriptors: list[int] | None = None
        self._awaited: Operation | None = None
        # Becomes readable when a signal comes (`signal.set_wakeup_fd`), for those who want none missed.
        self.alarm: int | None = None
        self.before_call: Callable[[], None] = lambda: None  # what is posted before anything else is asked
        self.source = Source(self._receive)
        try:
            greet = handshake.greet if dialect is Dialect.NIX else handshake.greet_guix
            self.greeting = greet(self.source, self._send, directory=directory)
            self.context = self.greeting.context
            failed = self._listen(None)
            if failed is not None:
                raise error_of(failed)
        except BaseException:
            stream.close()
            raise

    def close(self) -> None:
        """Leave. The daemon ends the session and forgets its temporary roots."""
        self._stream.close()

    def hang_up(self) -> None:
        """End the connection in the middle of whatever another thread is asking."""
        with suppress(OSError):  # it has ended already
            self._stream.shutdown(socket.SHUT_RDWR)

    def call(
        self,
        request: Request[R],
        *,
        body: Iterable[bytes] | None = None,
        on_event: OnEvent | None = None,
        on_data: OnData | None = None,
        descriptors: list[int] | None = None,
    ) -> R:
        """Ask, and return the reply. What streams behind it is read by the caller, to its end.

        Args:
            request: what is asked.
            body: what is sent after them, framed or as it is.
            on_event: told of what happens meanwhile.
            on_data: given the bytes that come within the messages, in their order.
            descriptors: takes those that come with messages, for the caller; else none is taken.

        Raises:
            FruixError: what the daemon answered.
            DisconnectedError: it has gone.
            ProtocolError: it has no such operation; nothing was sent.
        """
        self.before_call()
        self.settle()
        self._descriptors = descriptors
        operation = self._operation(type(request))
        self._ask(operation, request, body)
        return cast("R", self._answer(operation, on_event, on_data))

    def post(self, request: Request[None], *, body: Iterable[bytes]) -> None:
        """Ask without waiting for the answer, while which the daemon works.

        The answer is read before anything else is asked; an error in it is raised there.
        """
        self.settle()
        operation = self._operation(type(request))
        self._ask(operation, request, body)
        self._awaited = operation

    def settle(self) -> None:
        """Read the answer that is still to come, if one is.

        Raises:
            FruixError: what the daemon answered.
        """
        operation, self._awaited = self._awaited, None
        if operation is not None:
            self._answer(operation, None, None)

    def _ask(self, operation: Operation, request: Request[Any], body: Iterable[bytes] | None) -> None:
        sent = bytearray(operation.number.to_bytes(8, "little"))
        operation.request.write(sent, request, self.context)
        try:
            self._send_all(sent, _SENT[operation.body](body))
        except BaseException:
            self.close()  # something may be half sent
            raise

    def _answer(self, operation: Operation, on_event: OnEvent | None, on_data: OnData | None) -> Any:
        try:
            self.source.expect(REPLY_LIMIT)
            failed = self._listen(on_event, on_data)
            raw = operation.reply.read(self.source, self.context) if failed is None else None
        except BaseException:
            self.close()  # something may be half read
            raise
        if failed is not None:
            raise error_of(failed)
        if operation.reply_body is Body.NAR:
            return self._archive()
        return operation.reply.parse(raw, self.context)

    def _archive(self) -> Iterator[bytes]:
        """Yield a streamed archive; nothing else can be asked before its end.

        Leaving early closes the connection.
        """
        complete = False
        try:
            yield from NarBody(self.source).chunks()
            complete = True
        finally:
            if not complete:
                self.close()

    def _operation(self, kind: type[Request[Any]]) -> Operation:
        found = by_request(self.context.dialect).get(kind)
        if found is None:
            name = self.greeting.daemon_version
            raise ProtocolError(
                f"'{name}' has no operation {kind.__name__}", hint="connect to a fruix daemon"
            )
        return found

    def _send_all(self, request: bytearray, body: Iterable[bytes]) -> None:
        pending = request
        for piece in body:
            pending += piece
            if len(pending) >= SEND_SIZE:
                self._send(pending)
                pending = bytearray()
        self._send(pending)

    def _listen(self, on_event: OnEvent | None, on_data: OnData | None = None) -> messages.Failure | None:
        """Read messages to the one that ends them; returns it if it is an error."""
        reader = EventReader(self.context, time.time)
        while True:
            message = messages.read(self.source, self.context)
            if isinstance(message, messages.Last):
                return None
            if isinstance(message, messages.Failure):
                return message
            if isinstance(message, messages.Write):
                self.source.expect(REPLY_LIMIT)
                if on_data is not None:
                    on_data(message.data)
            elif on_event is not None:
                for event in reader.events(message):
                    on_event(event)

    def _receive(self, limit: int) -> bytes:
        if self.alarm is not None:
            self._wait(self.alarm)
        try:
            if self._descriptors is None:
                return self._stream.recv(limit)
            # Its flags have no effect. Room for two: FreeBSD drops a single one with its padding if
            # there isn't.
            data, passed, _, _ = socket.recv_fds(self._stream, limit, 2)
            for descriptor in passed:
                os.set_inheritable(descriptor, False)
            self._descriptors += passed
            return data  # noqa: TRY300 - one answer or the other
        except OSError as error:
            raise self._gone(error) from error

    def _wait(self, alarm: int) -> None:
        """Wait until something can be received; on the way the handlers of signals are called.

        A signal that another thread gets, or that comes just before the call of the system, does not
        end that call.
        """
        poller = select.poll()
        poller.register(self._stream, select.POLLIN)
        poller.register(alarm, select.POLLIN)
        ready: set[int] = set()
        while not ready - {alarm}:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if alarm in ready:
                os.read(alarm, 1 << 10)

    def _send(self, data: bytes | bytearray) -> None:
        try:
            self._stream.sendall(data)
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError) -> DisconnectedError:
        return DisconnectedError(f"the daemon has gone: {error}", where=self._where, hint="its log says why")
