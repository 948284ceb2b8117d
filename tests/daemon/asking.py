"""A client of any dialect and version, request by request."""

from __future__ import annotations

import socket
from typing import Any

from daemon.serving import Running
from fruix.model.storepath import StorePath
from fruix.protocol import handshake, messages
from fruix.protocol.messages import Failure, Last, Message
from fruix.protocol.operations import operations
from fruix.protocol.reader import Source
from fruix.protocol.records import Operation
from fruix.protocol.wire import Context, Dialect, read_string, write_u64


class Client:
    """A client of any dialect and version."""

    def __init__(self, stream: socket.socket, dialect: Dialect, minor: int, directory: str) -> None:
        self.stream = stream
        self.source = Source(stream.recv)
        self.context = Context(dialect, minor, directory)

    def send(self, *numbers: int) -> None:
        self.stream.sendall(b"".join(number.to_bytes(8, "little") for number in numbers))

    def greet(self) -> list[Message]:
        self.send(handshake.CLIENT_MAGIC)
        assert (self.source.u64(), self.source.u64()) == (handshake.SERVER_MAGIC, 0x164)
        self.send(0x100 | self.context.minor)
        if self.context.dialect is Dialect.NIX and self.context.minor >= 38:
            self.send(0)
            assert self.source.u64() == 0
        self.send(0, 0)
        if self.context.dialect is Dialect.NIX and self.context.minor >= 33:
            assert read_string(self.source, 100).startswith(b"fruix ")
            if self.context.minor >= 35:
                assert self.source.u64() == handshake.TRUSTED
        return self.messages()

    def messages(self) -> list[Message]:
        found: list[Message] = []
        while not found or not isinstance(found[-1], Last | Failure):
            found.append(messages.read(self.source, self.context))
        return found

    def request(self, number: int, *values: Any, body: bytes = b"") -> Operation:
        """Send one, and don't wait for its answer."""
        operation = operations(self.context)[number]
        request = bytearray()
        write_u64(request, number)
        operation.request.write(request, operation.kind(*values), self.context)
        self.stream.sendall(request + body)
        return operation

    def call(self, number: int, *values: Any, body: bytes = b"") -> tuple[list[Message], Any]:
        operation = self.request(number, *values, body=body)
        said = self.messages()
        if isinstance(said[-1], Failure):
            return said, None
        return said, operation.reply.parse(operation.reply.read(self.source, self.context), self.context)


def client(daemon: Running, dialect: Dialect = Dialect.NIX, minor: int = 38) -> Client:
    return Client(daemon.plug(), dialect, minor, daemon.store.directory)


def some(daemon: Running, name: str = "thing") -> StorePath:
    return StorePath.of(daemon.store.directory, f"{'b' * 32}-{name}")


def framed(*pieces: bytes) -> bytes:
    return b"".join(len(piece).to_bytes(8, "little") + piece for piece in (*pieces, b""))
