"""One connection: greeting, then requests one after the other until the client leaves.

Order within a request, which everything rests on: all of its fields are read; then they are judged; then the work is done, telling the
client of it; then what is left of the request's stream is read; then the reply goes out in one write. So any error that comes after
the reading is an answer like another, and the connection goes on; an error while reading ends it. A request that needs too much
memory (see `budget`) is read to its end too, but not held.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fruix import failpoints
from fruix.building.queue.event_queue import MOST as MOST_WAITING
from fruix.building.settings import Asker, BuildOptions
from fruix.daemon import options
from fruix.daemon.budget import Account, CountedRoots
from fruix.daemon.connection import Connection
from fruix.daemon.error_messages import failure
from fruix.daemon.peers import Peer
from fruix.daemon.service import Service
from fruix.errors import DisconnectedError, FruixError, NotPermittedError, ProtocolError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildFailed, Event, Message
from fruix.protocol import handshake, messages, nix
from fruix.protocol.event_messages import event_writer
from fruix.protocol.messages import Level
from fruix.protocol.operations import operations
from fruix.protocol.options import NIX_DEFAULT_VERBOSITY, ClientOptions
from fruix.protocol.reader import FREE
from fruix.protocol.schema import Body, Operation
from fruix.protocol.streams import NO_BODY, RequestBody, request_body
from fruix.protocol.wire import Context, Dialect
from fruix.store.memory import charge, charged_to
from fruix.store.tree.interruption import interruptible

Handler = Callable[..., Any]

_NOT_FOR_OTHERS = "this daemon is embedded in another fruix, and tells others only what it builds"
_NOT_FOR_OTHERS_HINT = "wait for the end of that one; 'fruix daemon' serves several"


class Session:
    """Serves one client; `run` returns when it has gone. What handlers may use is public."""

    def __init__(
        self,
        stream: socket.socket,
        peer: Peer,
        service: Service,
        *,
        trusted: bool,
        only: frozenset[str] | None = None,
    ) -> None:
        """`stream` stays the caller's, who closes it; `only`: the operations that the client may ask for, if not all."""
        self.account = Account(service.budget, peer.uid, trusted=trusted)
        self.connection = Connection(stream, patience=service.settings.request_timeout, account=self.account)
        self.peer = peer
        self.service = service
        self.store = service.store
        self.trusted = trusted
        self._only = only
        self.context = Context(Dialect.NIX, nix.NEWEST, service.store.directory)
        self.options = ClientOptions(verbosity=NIX_DEFAULT_VERBOSITY)
        self.body: RequestBody = NO_BODY
        self.failed: set[BuildStatus] = (
            set()
        )  # how builds of the last request failed, also those it only needed

    def run(self) -> None:
        """Greet and serve. The connection stays open; the caller closes it."""
        failpoints.know("client", self.peer.pid)
        try:
            with self.store.temp_roots.session(CountedRoots(self.account)), charged_to(self.account):
                if self._greet():
                    self._serve()
        except DisconnectedError:
            pass
        except ProtocolError as error:
            self.service.client_log.warning(
                self.peer.uid, "client %s (user %s): %s", self.peer.pid, self.peer.uid, error
            )
        finally:
            self.account.close()

    def tell(self, *said: messages.Message) -> None:
        """Send messages within the work on a request."""
        self.connection.send(b"".join(messages.encode(message, self.context) for message in said))

    def show(self, message: Message) -> None:
        """Send a text for people, if the client's verbosity wants it."""
        self.tell(*event_writer(self.context, self.options, self.service.system).messages(message))

    def warn_of_limits(self) -> None:
        """Tell the client where it asked for more time than it gets."""
        wished, allowed = self.build_options(BuildMode.NORMAL), self.service.settings.build
        for text in options.too_much(wished, allowed):
            self.show(Message(0 if self.context.dialect is Dialect.GUIX else Level.WARN, text))

    def realise(
        self, requests: Sequence[DerivedPath], mode: BuildMode, *, keep_going: bool = False
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Build, telling the client of events; give up when it goes away. `keep_going`: whatever the client has set.

        Raises:
            DisconnectedError: it has gone.
            MemoryLimitError: there is no room for the events that may have to wait for the client.
        """
        charge(MOST_WAITING)
        if self.context.dialect is Dialect.GUIX:  # which could not be told when it set its options
            self.warn_of_limits()
        writer = event_writer(self.context, self.options, self.service.system)
        self.failed.clear()
        with self.service.hangups.watch(self.connection.stream) as gone:

            def on_event(event: Event) -> None:
                if isinstance(event, BuildFailed):
                    self.failed.add(event.status)
                if said := [*writer.messages(event)]:
                    try:
                        self.tell(*said)
                    except DisconnectedError:
                        gone.set()

            chosen = self.build_options(mode)
            chosen = replace(chosen, keep_going=True) if keep_going else chosen
            results = self.service.builder.realise(requests, chosen, on_event, gone)
            if gone.is_set():
                raise self._stopping() or DisconnectedError("the client has gone during a build")
            return results

    @contextmanager
    def long_work(self) -> Iterator[None]:
        """Reading files on behalf of the client: given up when it goes, also because the daemon ends.

        Raises:
            DisconnectedError: it has gone.
            FruixError: the daemon ends.
        """

        def why() -> Exception | None:
            if not gone.is_set():
                return None
            return self._stopping() or DisconnectedError("the client has gone while the store was read")

        with self.service.hangups.watch(self.connection.stream) as gone, interruptible(why):
            yield

    def _stopping(self) -> FruixError | None:
        stopping = self.service.stopping
        return FruixError(stopping, hint="ask again when it has been started anew") if stopping else None

    def build_options(self, mode: BuildMode) -> BuildOptions:
        """What the client has set, for one request."""
        asker = Asker(self.peer.uid, self.peer.gid, self.peer.pid)
        return options.build_options(self.options, self.context, mode, asker)

    def _greet(self) -> bool:
        """The greeting, and whether requests may follow."""
        self.connection.begin()
        self.context = handshake.serve(
            self.connection.source,
            self.connection.send,
            directory=self.store.directory,
            version=self.service.version,
            trusted=self.trusted,
        )
        self.connection.complete()
        if self.context.dialect is Dialect.GUIX:
            self.options = ClientOptions()
        elif self.context.minor < nix.OLDEST:
            least = f"1.{nix.OLDEST}"
            error = ProtocolError(
                f"protocol 1.{self.context.minor} is too old, this daemon serves {least} and newer"
            )
            self._answer(messages.encode(failure(error, self.context), self.context))
            return False
        self._answer(messages.LAST)
        return True

    def _serve(self) -> None:
        from fruix.daemon.handlers.table import HANDLERS  # noqa: PLC0415 - handlers know sessions

        table = operations(self.context)
        handlers = HANDLERS[self.context.dialect]
        connection, source, budget = (
            self.connection,
            self.connection.source,
            self.service.settings.max_request_size,
        )
        while connection.wait():
            source.expect(budget)
            connection.begin()
            number = source.u64()
            operation = table.get(number)
            if operation is None:
                raise self._broken(ProtocolError(f"invalid operation {number}"))
            self._meet(operation, handlers.get(number), [self._read(operation)])
            source.release()
            self.account.end_request()

    def _meet(self, operation: Operation, handler: Handler | None, raw: list[list[Any]]) -> None:
        """Meet a request whose fields have been read. `raw` holds them alone, and is emptied when they have been parsed."""
        self.connection.complete()
        self.body = request_body(operation.body, self.connection.source)
        try:
            reply, stream = self._work(operation, handler, raw)
            self.body.drain()
        except (FruixError, OSError) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a bug must not take the others' daemon down
            self.service.client_log.exception(self.peer.uid, "operation %s failed", operation.name)
            self._fail(error)
        else:
            self._answer(reply, stream)

    def _work(
        self, operation: Operation, handler: Handler | None, raw: list[list[Any]]
    ) -> tuple[bytearray, Iterable[bytes]]:
        """Do what is asked; the reply, and what is to be streamed after it."""
        self.connection.source.check()
        if self._only is not None and operation.name not in self._only:
            raise NotPermittedError(_NOT_FOR_OTHERS, hint=_NOT_FOR_OTHERS_HINT)
        if handler is None:
            text = (
                f"operation {operation.number} ({operation.name}) is not implemented in this version of fruix"
            )
            raise FruixError(text)
        result = handler(self, *operation.request.parse(raw.pop(), self.context))
        reply = bytearray(messages.LAST)
        if operation.reply_body is Body.NAR:
            return reply, result
        operation.reply.write(reply, operation.replies(result), self.context)
        if len(reply) > FREE:
            charge(len(reply))  # until the client has read it
        return reply, ()

    def _read(self, operation: Operation) -> list[Any]:
        try:
            return operation.request.read(self.connection.source, self.context)
        except ProtocolError as error:
            raise self._broken(error) from error

    def _broken(self, error: ProtocolError) -> ProtocolError:
        """Tell the client; nothing more can be read from it."""
        self._answer(messages.encode(failure(error, self.context), self.context))
        return error

    def _fail(self, error: Exception) -> None:
        """Answer a request with an error; the client may still be sending its stream, so that is read first."""
        if isinstance(error, DisconnectedError):
            raise error
        answer = messages.encode(failure(error, self.context), self.context)
        try:
            self.body.drain()
        except ProtocolError as broken:
            self._answer(answer)
            raise broken from error
        self._answer(answer)

    def _answer(self, data: bytes | bytearray, stream: Iterable[bytes] = ()) -> None:
        """Send a reply in one write, and its stream after it; an error in the middle of a stream ends the connection."""
        self.connection.send(data)
        for chunk in stream:
            self.connection.send(chunk)
