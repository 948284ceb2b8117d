"""One connection's session: who the client is, what it has set, and what handlers may use.

Requests are read, handed to handlers and answered in `request_loop`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fruix.building.queue.event_queue import MOST as MOST_WAITING
from fruix.daemon import client_options, client_substitutes, client_trust
from fruix.daemon.answers import Answer, settled
from fruix.daemon.budget import Account
from fruix.daemon.connection import Connection
from fruix.daemon.peers import Peer
from fruix.daemon.service import Service
from fruix.dataclass import replace
from fruix.errors import DisconnectedError, FruixError
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildFailed, BuildFinished, Event, Message
from fruix.model.garbage import Keep
from fruix.model.named_keys import SecretKey
from fruix.model.reasons import ends_request, text_of
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.activities import Level
from fruix.protocol.event_messages import EventWriter, event_writer
from fruix.protocol.numbers import NIX_NEWEST
from fruix.protocol.options import NIX_DEFAULT_VERBOSITY, ClientOptions
from fruix.protocol.realise_activities import Expected
from fruix.protocol.records import Request
from fruix.protocol.streams import NO_BODY, RequestBody
from fruix.protocol.wire import FEATURE, Context, Dialect
from fruix.signing.path_signatures import PathTrust
from fruix.store.database_file import Version
from fruix.store.memory import charge
from fruix.store.tree.interruption import interruptible

_PIECE = 1 << 18


class Session:
    """What is known of one client while it is connected."""

    def __init__(self, stream: socket.socket, peer: Peer, service: Service, *, trusted: bool) -> None:
        """`stream` stays the caller's, who closes it."""
        self.account = Account(service.budget, peer.uid, trusted=trusted)
        self.connection = Connection(stream, patience=service.settings.request_timeout, account=self.account)
        self.peer = peer
        self.service = service
        self.store = service.store
        self.trusted = trusted
        self.context = Context(Dialect.NIX, NIX_NEWEST, service.store.directory)
        self.options = ClientOptions(verbosity=NIX_DEFAULT_VERBOSITY)
        # The options that were looked at last, and what of them passes limits.
        self._judged: tuple[ClientOptions | None, list[str]] = None, []
        self.body: RequestBody = NO_BODY
        # How builds of the last request failed, also those that it only needed.
        self.failed: set[BuildStatus] = set()
        # Whether the client was told anything within the request, and the paths that a request to build found
        # there if that was all of it.
        self.told = False
        self.settled: Collection[StorePath] = ()
        self.reasons: set[str] = set()  # the kinds of why they failed
        self.ending = ""  # what is the error of the whole of it, in the Guix dialect
        self.expected = Expected()  # of the next build, as the client was told
        self.secret_keys: Sequence[SecretKey] = ()  # the client's, which sign what is built for it

    def tell(self, *said: messages.Message) -> None:
        """Send messages within the work on a request."""
        self.connection.send(self._encoded(said))

    def _encoded(self, said: Iterable[messages.Message]) -> bytes:
        self.told = True
        sink = bytearray()
        for message in said:
            messages.write(sink, message, self.context)
        return bytes(sink)

    def give(self, data: bytes) -> None:
        """Send bytes for the client to keep, within messages of up to `_PIECE`; nothing is copied."""
        for start in range(0, len(data), _PIECE):
            piece = memoryview(data)[start : start + _PIECE]
            self.connection.send(messages.write_head(len(piece)))
            self.connection.send(piece)
            if padding := bytes(-len(piece) % 8):
                self.connection.send(padding)

    def ask(self, limit: int) -> None:
        """Ask for the next piece of a stream, of at most so many bytes."""
        self.tell(messages.Read(limit))

    def show(self, *shown: Message) -> None:
        """Send texts for people, all at once, those that the client's verbosity wants."""
        writer = self._event_writer()
        if said := [each for message in shown for each in writer.messages(message)]:
            self.tell(*said)

    def report(self, event: Event) -> None:
        """Tell the client of an event outside of a build; those of other worlds hear nothing of most."""
        self.tell(*self._event_writer().messages(event))

    def _event_writer(self, expected: Expected | None = None) -> EventWriter:
        return event_writer(self.context, self.options, self.service.system, expected)

    def warn_of_limits(self) -> None:
        """Tell the client where it asked for more time than it gets."""
        for text in self._passed_limits():
            self.show(Message(0 if self.context.dialect is Dialect.GUIX else Level.WARN, text))

    def _passed_limits(self) -> list[str]:
        if self._judged[0] is not self.options:
            wished, allowed = self.build_options(BuildMode.NORMAL), self.service.settings.build
            texts = [*client_options.too_much(wished, allowed)]
            if not self.trusted:
                texts += client_substitutes.refused(self.options, self.context.dialect, allowed)
            self._judged = self.options, texts
        return self._judged[1]

    def version_with(self, answer: Answer) -> Version | None:
        """What the database holds when all that a request to build needed is there and protected.

        None if one isn't there, or if the client is told something with each build.
        """
        if self.context.dialect is Dialect.GUIX and self._passed_limits():
            return None
        users = self.service.users
        try:
            users.enter(seen=True)
            try:
                store = self.store
                store.temp_roots.add_all(answer.needs)
                self._forget_last()
                # Behind that: what is protected now is what was there if nothing was deleted before.
                return store.database.version() if store.have_files(answer.names) else None
            finally:
                users.leave()
        except (FruixError, OSError):
            return None  # the work itself tells why

    def _forget_last(self) -> Expected:
        """Forget the last request to build; what the client was told that the next one will do."""
        self.failed, self.reasons, self.ending = set(), set(), ""
        expected, self.expected = self.expected, Expected()
        return expected

    def realise(
        self,
        requests: Sequence[DerivedPath],
        mode: BuildMode,
        *,
        keep_going: bool = False,
        given: Mapping[StorePath, Derivation] | None = None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Build, telling the client of events; give up when it goes away.

        `keep_going` holds whatever the client has set. `given`: derivations that come with the request.

        Raises:
            DisconnectedError: it has gone.
            MemoryLimitError: there is no room for the events that may have to wait for the client.
        """
        charge(MOST_WAITING)
        if self.context.dialect is Dialect.GUIX:  # which could not be told when it set its options
            self.warn_of_limits()
        expected, built = self._forget_last(), list[str]()
        options = self.build_options(mode)
        chosen = replace(options, keep_going=options.keep_going or keep_going)
        writer = self._event_writer(expected)
        messages_of = self._build_events(writer, {request.path for request in requests}, built)
        with self.service.hangups.watch(self.connection.stream) as gone:
            on_event, on_wait = self._telling(messages_of, gone)
            results = self.service.builder.realise(requests, chosen, on_event, gone, given, on_wait)
            client_trust.sign_results(self.store, built, self.secret_keys)
            self._check_presence(gone)
            if said := [*writer.end()]:
                self.connection.hold(self._encoded(said))  # the reply follows
        self.settled = settled(results) if mode is BuildMode.NORMAL else ()
        return results

    def _telling(
        self, messages_of: Callable[[Event], list[messages.Message]], gone: threading.Event
    ) -> tuple[Callable[[Event], None], Callable[[], None]]:
        """What hears events, and what sends them before a wait; when the client has left, `gone` is set."""

        def on_event(event: Event) -> None:
            if said := messages_of(event):
                try:
                    self.connection.hold(self._encoded(said))
                except DisconnectedError:
                    gone.set()

        def on_wait() -> None:
            try:
                self.connection.flush()
            except DisconnectedError:
                gone.set()

        return on_event, on_wait

    def _build_events(
        self, writer: EventWriter, asked: Collection[StorePath], built: list[str]
    ) -> Callable[[Event], list[messages.Message]]:
        """What the client is told of each event of a build; what is built is gathered in `built`.

        Nix's clients hear why something failed that they haven't asked for, as from nix-daemon; what
        became of the rest is in the reply.
        """
        tells = self.context.dialect is Dialect.NIX and not self.is_own

        def messages_of(event: Event) -> list[messages.Message]:
            said = [*writer.messages(event)]
            if isinstance(event, BuildFinished):
                built.extend(event.outputs.values())
            if isinstance(event, BuildFailed):
                self._note_failure(event)
                if tells and event.drv not in asked:
                    indented = event.message.replace("\n", "\n       ")
                    said.append(messages.Next(f"error: {indented}\n"))
            return said

        return messages_of

    def _check_presence(self, gone: threading.Event) -> None:
        if gone.is_set():
            raise self._stopping() or DisconnectedError("the client has gone during a build")

    def _note_failure(self, event: BuildFailed) -> None:
        self.failed.add(event.status)
        self.reasons.add(str(event.reason.get("kind", "")))
        if event.reason and ends_request(event.reason):
            self.ending = self.ending or text_of(event.reason, event.drv, guix=True)

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

        self.connection.flush()
        with self.service.hangups.watch(self.connection.stream) as gone, interruptible(why):
            yield

    def _stopping(self) -> FruixError | None:
        stopping = self.service.stopping
        return FruixError(stopping, hint="ask again when it has been started anew") if stopping else None

    def path_trust(self) -> PathTrust:
        """Whose signatures on what the client adds count."""
        keyring = self.service.keyring
        return client_trust.path_trust(self.options, keyring) if self.trusted else keyring.trust

    @property
    def is_own(self) -> bool:
        """Whether the client is one of Fruix's own."""
        return FEATURE in self.context.features

    def keep(self) -> Keep:
        """What keeps paths alive in a collection that this client asks for."""
        return client_options.keep(self.options, self.service.settings.keep, trusted=self.trusted)

    def build_options(self, mode: BuildMode) -> BuildOptions:
        """What the client has set, for one request."""
        requester = Requester(self.peer.uid, self.peer.gid, self.peer.pid)
        wishes = client_substitutes.substitute_wishes(
            self.options,
            self.context.dialect,
            self.service.settings.build,
            self.service.keyring,
            self.path_trust() if self.trusted else None,
        )
        chosen = client_options.build_options(
            self.options, self.context, mode, requester, trusted=self.trusted
        )
        says = client_options.says_rounds(self.options)
        rounds = chosen.rounds if says else self.service.settings.rounds
        machines = client_options.machines(self.options) if self.trusted else None
        return replace(chosen, substitutes=wishes, rounds=rounds, machines=machines)


# What handles a request: it returns what the reply holds. Rows of tables of handlers, made by
# `Request.answered_by`.
Handler = Callable[[Session, Any], Any]
Rows = tuple[tuple[type[Request[Any]], Handler], ...]
