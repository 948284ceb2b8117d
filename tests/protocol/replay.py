"""Reads a recorded session with the layouts under test, both directions, and writes it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fruix.errors import FruixError
from fruix.protocol import handshake, messages
from fruix.protocol.compound import List
from fruix.protocol.operations import operations
from fruix.protocol.reader import FramedSource, Source
from fruix.protocol.records import Body, Operation, Request
from fruix.protocol.streams import NarBody
from fruix.protocol.wire import OCTETS, Context, Dialect, Text, write_string, write_u64

GOLDEN = Path(__file__).parent.parent / "golden" / "wire"
STORE = "/frx/store"
SESSIONS = sorted(path.name for path in GOLDEN.glob("*.json"))


def recording(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return value


def side(session: dict[str, Any], direction: str) -> bytes:
    return b"".join(bytes.fromhex(data) for who, data in session["chunks"] if who == direction)


@dataclass
class Call:
    operation: Operation
    values: Request[Any] | None
    body: bytes = b""
    messages: list[messages.Message] = field(default_factory=list)
    reply: Any = None
    reply_body: bytes = b""


class Replay:
    """Decodes; `client_again` and `server_again` hold what encoding the decoded values gave."""

    def __init__(self, session: dict[str, Any]) -> None:
        self.session = session
        self.client = Source.of(side(session, "c"))
        self.server = Source.of(side(session, "s"))
        self.client_again = bytearray()
        self.server_again = bytearray()
        self.calls: list[Call] = []
        self.context = self.greeting()
        self.ending = self.messages([])

    def u64s(self, source: Source, sink: bytearray, count: int) -> list[int]:
        values = [source.u64() for _ in range(count)]
        for value in values:
            write_u64(sink, value)
        return values

    def greeting(self) -> Context:
        magic, number = self.u64s(self.client, self.client_again, 2)
        assert magic == handshake.CLIENT_MAGIC
        self.u64s(self.server, self.server_again, 2)
        minor = number & 0xFF
        context = Context(Dialect.GUIX if minor >= 0x60 else Dialect.NIX, minor, STORE)
        features = List(Text(100))
        if context.dialect is Dialect.NIX and minor >= 38:
            for source, sink in ((self.client, self.client_again), (self.server, self.server_again)):
                features.write(sink, features.parse(features.read(source, context), context), context)
        self.u64s(self.client, self.client_again, 2)
        if context.dialect is Dialect.NIX:
            version = OCTETS.read(self.server, context)
            write_string(self.server_again, version)
            if minor >= 35:
                self.u64s(self.server, self.server_again, 1)
        return context

    def messages(self, seen: list[messages.Message]) -> messages.Message:
        while True:
            message = messages.read(self.server, self.context)
            messages.write(self.server_again, message, self.context)
            seen.append(message)
            if isinstance(message, messages.Read):
                write_string(self.client_again, OCTETS.read(self.client, self.context))
            if isinstance(message, messages.Last | messages.Failure):
                return message

    def run(self) -> None:
        table = operations(self.context)
        while self.client.buffered:
            operation = table[self.u64s(self.client, self.client_again, 1)[0]]
            call = Call(operation, self.request(operation))
            self.calls.append(call)
            call.body = self.body(operation.body, self.client, self.client_again)
            failed = isinstance(self.messages(call.messages), messages.Failure)
            assert failed or call.values is not None
            if failed:
                continue
            raw = operation.reply.read(self.server, self.context)
            call.reply = operation.reply.parse(raw, self.context)
            operation.reply.write(self.server_again, call.reply, self.context)
            call.reply_body = self.body(operation.reply_body, self.server, self.server_again)

    def request(self, operation: Operation) -> Request[Any] | None:
        """None, and the bytes as they were, for a request that was recorded because it is wrong."""
        before = self.client.buffered
        raw = operation.request.read(self.client, self.context)
        try:
            values = operation.request.parse(raw, self.context)
        except FruixError:
            everything = side(self.session, "c")
            start, end = len(everything) - before, len(everything) - self.client.buffered
            self.client_again += everything[start:end]
            return None
        operation.request.write(self.client_again, values, self.context)
        return values

    def body(self, kind: Body, source: Source, sink: bytearray) -> bytes:
        if kind is Body.FRAMED:
            return self.framed(source, sink)
        if kind is Body.NAR:
            data = b"".join(NarBody(source).chunks())
            sink += data
            return data
        return b""

    def framed(self, source: Source, sink: bytearray) -> bytes:
        """Recorded frames have sizes of their own, so they are copied one by one."""
        data = b""
        while size := self.u64s(source, sink, 1)[0]:
            piece = source.read_exact(size)
            sink += piece
            data += piece
        return data

    def inner(self, call: Call) -> FramedSource:
        sink = bytearray()
        write_u64(sink, len(call.body))
        sink += call.body + bytes(8)
        return FramedSource(Source.of(bytes(sink)))
