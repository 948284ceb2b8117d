"""Greeting a client, then its requests one after the other until it leaves.

Order within a request, which everything rests on: all of its fields are read; then they are judged;
then the work is done, telling the client of it; then what is left of the request's stream is read;
then the reply goes out in one write. So any error that comes after the reading is an answer like
another, and the connection goes on; an error while reading ends it. A request that needs too much
memory (see `budget`) is read to its end too, but not held. A short question that has been answered
before is not even parsed (`answers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from fruix import failpoints, protocol
from fruix.daemon import handlers as rooms
from fruix.daemon.answers import MOST_REQUEST, Answer, Answers
from fruix.daemon.budget import CountedRoots
from fruix.daemon.session import Handler, Session
from fruix.daemon.user_profiles import make_profile_directory
from fruix.errors import DisconnectedError, FruixError, NotPermittedError, ProtocolError
from fruix.protocol import handshake, messages
from fruix.protocol.numbers import NIX_OLDEST
from fruix.protocol.options import GUIX_DEFAULT_VERBOSITY, ClientOptions
from fruix.protocol.reader import FREE
from fruix.protocol.records import Body, Operation, Request
from fruix.protocol.streams import request_body
from fruix.protocol.wire import Dialect
from fruix.store.memory import charge, charged_to
from fruix.store.tree.plain_dump import OpenFile

if TYPE_CHECKING:
    from fruix.daemon.handlers.quick import QuickQuestions
    from fruix.daemon.handlers.small_texts import SmallTexts
    from fruix.store.database_file import Version

Only = frozenset[type[Request[Any]]] | None

Handlers = Mapping[Dialect, Mapping[type[Request[Any]], Handler]]
_NOT_FOR_OTHERS = "this daemon is embedded in another fruix, and tells others only what it builds"
_HINT_FOR_OTHERS = "wait for the end of that one; 'fruix daemon' serves several"


class RequestLoop:
    """Serves one client; `run` returns when it has gone."""

    def __init__(
        self,
        session: Session,
        *,
        only: Only = None,
        handlers: Handlers | None = None,
        refusal: tuple[str, str] = (_NOT_FOR_OTHERS, _HINT_FOR_OTHERS),
    ) -> None:
        """`only`: the requests that the client may make, if not all; `refusal`: of others, with a hint.

        `handlers`: what answers, by the dialects that are served, if not all.
        """
        self._session = session
        self._only = only
        self._handlers = handlers
        self._refusal = refusal
        self._connection = session.connection
        self._asked = b""  # the request that is being answered, if it is a short one
        self._quick: QuickQuestions | None = None
        self._texts: SmallTexts | None = None
        self._dialect = 0

    def run(self) -> None:
        """Greet and serve until the client has gone. The connection stays open; the caller closes it."""
        session = self._session
        failpoints.know("client", session.peer.pid)
        try:
            with session.store.temp_roots.session(CountedRoots(session.account)), charged_to(session.account):
                if self._greet() and self._connection.wait():
                    guix = session.context.dialect is Dialect.GUIX
                    with _shown_as_process(session.peer.pid) if guix else nullcontext():
                        self._serve()
        except DisconnectedError:
            pass
        except ProtocolError as error:
            session.service.client_log.warning(
                session.peer.uid, "client %s (user %s): %s", session.peer.pid, session.peer.uid, error
            )
        finally:
            self._connection.end()
            session.account.close()

    def _greet(self) -> bool:
        """The greeting, and whether requests may follow."""
        session = self._session
        self._connection.begin()
        session.context = context = handshake.serve(
            self._connection.source,
            self._connection.send,
            directory=session.store.directory,
            version=session.service.version,
            trusted=session.trusted,
        )
        self._connection.complete()
        if self._handlers is not None and context.dialect not in self._handlers:
            self._answer(self._error(self._refused()))
            return False
        if context.dialect is Dialect.GUIX:
            self._make_profile_directory()
            session.options = ClientOptions(verbosity=GUIX_DEFAULT_VERBOSITY, print_build_trace=False)
        elif context.minor < NIX_OLDEST:
            least = f"1.{NIX_OLDEST}"
            error = f"protocol 1.{context.minor} is too old, this daemon serves {least} and newer"
            self._answer(self._error(ProtocolError(error)))
            return False
        self._answer(messages.LAST)
        return True

    def _make_profile_directory(self) -> None:
        session, peer = self._session, self._session.peer
        try:
            make_profile_directory(session.store.layout, peer.uid, peer.gid)
        except OSError as error:
            session.service.client_log.warning(
                peer.uid, "no directory for the profiles of user %s: %s", peer.uid, error
            )

    def _serve(self) -> None:
        session, connection, source = self._session, self._connection, self._connection.source
        try:
            # Loaded here, when the first client that is greeted makes up its first request.
            table = protocol.operations.operations(session.context)
            handlers = (self._handlers or rooms.table.HANDLERS)[session.context.dialect]
        except FruixError as error:
            self._answer(self._error(error))
            return
        budget = session.service.settings.max_request_size
        answers = session.service.answers
        self._dialect = answers.dialect(session.context)
        if self._handlers is None:
            self._quick = rooms.quick.quick_questions(session.context)
            self._texts = rooms.small_texts.SmallTexts(session)
        while (arrived := connection.arrived()) is not None:
            self._asked = arrived if self._only is None and len(arrived) <= MOST_REQUEST else b""
            if self._asked and self._answer_at_once(answers):
                continue
            if arrived:
                source.feed(self._asked or arrived)
            source.expect(budget)
            connection.begin()
            number = source.u64()
            operation = table.get(number)
            if operation is None:
                raise self._broken(ProtocolError(f"invalid operation {number}"))
            self._meet(operation, handlers.get(operation.kind), [self._read(operation)])
            source.release()
            session.account.end_request()

    def _meet(self, operation: Operation, handler: Handler | None, raw: list[list[Any]]) -> None:
        """Answer a request whose fields have been read.

        `raw` alone holds them, and is emptied when they have been parsed.
        """
        self._connection.complete()
        self._session.body = request_body(operation.body, self._connection.source, self._session.ask)
        users = self._session.service.users
        self._session.told, self._session.settled = False, ()
        in_use = False  # from the beginning to the end of the answer
        try:
            users.enter()
            in_use = True
            version = self._version(operation)
            reply, stream = self._work(operation, handler, raw)
            self._session.body.drain()
        except (FruixError, OSError) as error:
            self._fail(users.explained(error), operation)
        except Exception as error:  # noqa: BLE001 - a bug must not take the others' daemon down
            self._session.service.client_log.exception(
                self._session.peer.uid, "operation %s failed", operation.name
            )
            self._fail(error, operation)
        else:
            if version is not None:
                self._keep(operation, bytes(reply), version)
            self._answer(reply, stream)
        finally:
            if in_use:
                users.leave()

    def _answer_at_once(self, answers: Answers) -> bool:
        """Send what these bytes were answered with before, if it holds, or what needs no parsing."""
        session, asked = self._session, self._asked
        if self._texts is not None and asked[:8] in self._texts.heads:
            added, self._asked = self._texts.answer(asked)
            if added is not None:
                self._connection.send(added)
            return added is not None
        if (kept := answers.find(self._dialect, asked, session.version_with)) is not None:
            self._connection.send(kept.data)
            return True
        if self._quick is None or (found := self._quick.answer(session, asked)) is None:
            return False
        reply, version = found
        self._connection.send(reply)
        answers.see(version)
        answers.keep(self._dialect, asked, Answer(reply), version)
        return True

    def _keep(self, operation: Operation, reply: bytes, version: Version) -> None:
        session = self._session
        builds = operation.kind in rooms.build.SETTLING
        if not builds or (session.settled and not session.told):
            answer = Answer.needing(reply, session.settled if builds else ())
            session.service.answers.keep(self._dialect, self._asked, answer, version)

    def _version(self, operation: Operation) -> Version | None:
        """What the answer rests on, if it may be kept: the request is all that has arrived."""
        lasting = operation.kind in rooms.query.LASTING or operation.kind in rooms.build.SETTLING
        if not self._asked or not lasting or self._connection.source.buffered:
            return None
        try:
            version = self._session.store.database.version()
        except FruixError:
            return None  # the work itself tells why
        self._session.service.answers.see(version)
        return version

    def _work(
        self, operation: Operation, handler: Handler | None, raw: list[list[Any]]
    ) -> tuple[bytearray, Iterable[bytes | OpenFile]]:
        """Do what is asked; the reply, and what is to be streamed after it."""
        self._connection.source.check()
        if self._only is not None and operation.kind not in self._only:
            raise self._refused()
        if handler is None:
            text = (
                f"operation {operation.number} ({operation.name}) is not implemented in this version of fruix"
            )
            raise FruixError(text)
        result = handler(self._session, operation.request.parse(raw.pop(), self._session.context))
        reply = bytearray(messages.LAST)
        if operation.reply_body is Body.NAR:
            return reply, result.pieces()
        operation.reply.write(reply, result, self._session.context)
        if len(reply) > FREE:
            charge(len(reply))  # until the client has read it
        return reply, ()

    def _refused(self) -> NotPermittedError:
        text, hint = self._refusal
        return NotPermittedError(text, hint=hint)

    def _read(self, operation: Operation) -> list[Any]:
        try:
            return operation.request.read(self._connection.source, self._session.context)
        except ProtocolError as error:
            raise self._broken(error) from error

    def _broken(self, error: ProtocolError) -> ProtocolError:
        """Tell the client; nothing more can be read from it."""
        self._answer(self._error(error))
        return error

    def _fail(self, error: Exception, operation: Operation) -> None:
        """Answer a request with an error, when the stream that the client may still be sending is read."""
        if isinstance(error, DisconnectedError):
            raise error
        from fruix.daemon import error_messages  # noqa: PLC0415 - knows all requests

        answer = self._error(error)
        try:
            self._session.body.drain()
        except ProtocolError as broken:
            self._answer(answer)
            raise broken from error
        self._answer(answer)
        if error_messages.ends_session(error, operation.kind, self._session.context):
            raise ProtocolError(f"{operation.name}: {error}") from error

    def _error(self, error: Exception) -> bytes:
        from fruix.daemon import error_messages  # noqa: PLC0415 - knows all requests

        return messages.encode(error_messages.failure(error, self._session.context), self._session.context)

    def _answer(self, data: bytes | bytearray, stream: Iterable[bytes | OpenFile] = ()) -> None:
        """Send a reply in one write, and its stream after it.

        An error in the middle of a stream ends the connection.
        """
        self._connection.send(data)
        for piece in stream:
            if isinstance(piece, OpenFile):
                self._connection.send_file(piece)
            else:
                self._connection.send(piece)


def _shown_as_process(client: int) -> AbstractContextManager[None]:
    from fruix.daemon.session_process import session_process  # noqa: PLC0415 - Guix's clients alone need it

    return session_process(client)
