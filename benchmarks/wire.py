"""A client of either dialect that does as little as possible: what is measured should be the daemon.

Requests are put together from bytes that were made before the clock starts, where that matters.
Formats: docs/clients.md and the tables in `src/fruix/protocol`; this module does not use them, so
that a change there shows in the figures of one daemon only.
"""

from __future__ import annotations

import io
import os
import socket
import struct
from collections.abc import Callable, Iterable

from fruix.model.nar import write as nar

_U64 = struct.Struct("<Q")
_CLIENT_MAGIC, _DAEMON_MAGIC = 0x6E697863, 0x6478696F
_NEXT, _WRITE, _LAST, _ERROR = 0x6F6C6D67, 0x64617416, 0x616C7473, 0x63787470
_READ = 0x64617461
_START, _STOP, _RESULT = 0x53545254, 0x53544F50, 0x52534C54
_MINE = {"nix": 0x123, "guix": 0x164}
CHUNK = 1 << 20
_DROPPED = memoryview(bytearray(CHUNK))
BUFFERED = 1 << 18  # longer reads go past the buffer

Write = Callable[[bytes], None]
Feed = Callable[[Write], None]
Give = Callable[[int], bytes]  # an answer to a question for so many bytes


class DaemonError(Exception):
    """The daemon answered with an error; its text."""


def number(value: int) -> bytes:
    """A number on the wire: 8 bytes, little-endian."""
    return _U64.pack(value)


def string(value: str | bytes) -> bytes:
    """A string on the wire: its length, its bytes, padding to 8."""
    return nar.string(value.encode() if isinstance(value, str) else value)


def strings(values: Iterable[str]) -> bytes:
    """A list of strings on the wire: how many, then each."""
    items = [string(value) for value in values]
    return number(len(items)) + b"".join(items)


class Client:
    """One connection; operations are methods. `dialect` is `nix` or `guix`."""

    def __init__(self, dialect: str, path: str) -> None:
        """Connect to the socket `path` and exchange greetings."""
        self.dialect = dialect
        self._stream = socket.socket(socket.AF_UNIX)
        try:
            self._stream.connect(path)
            self._file = io.BufferedReader(self._stream.makefile("rb", 0), BUFFERED)
            self._greet()
        except BaseException:
            self._stream.close()
            raise

    def _greet(self) -> None:
        dialect = self.dialect
        self._send(number(_CLIENT_MAGIC))
        if self._number() != _DAEMON_MAGIC:
            raise DaemonError("no daemon there")
        self._minor = min(self._number() & 0xFF, _MINE[dialect] & 0xFF)
        self._send(number(_MINE[dialect]) + number(0) + number(0))
        if dialect == "nix" and self._minor >= 33:
            self._string()
        if dialect == "nix" and self._minor >= 35:
            self._number()
        self._listen()

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._stream.close()

    # Operations

    def is_valid(self, request: bytes) -> bool:
        """Operation 1, with a request from `is_valid_request`."""
        self._send(request)
        self._listen()
        return bool(self._number())

    def references(self, path: str) -> list[str]:
        """Operation 26: all about a path, of which the references are kept."""
        self._call(26, string(path))
        if self.dialect == "nix" and not self._number():
            raise DaemonError(f"{path} is not valid")
        self._string()
        self._string()
        found = self._strings()
        self._number()
        self._number()
        if self.dialect == "nix":
            self._number()
            self._strings()
            self._string()
        return found

    def add_text(self, name: str, text: bytes, references: Iterable[str] = ()) -> str:
        """Add a small file and return its path."""
        ordered = sorted(references)
        if self.dialect == "guix":
            self._call(8, string(name) + string(text) + strings(ordered))
            return self._string()
        self._send(
            number(7) + string(name) + string("text:sha256") + strings(ordered) + number(0)
            + number(len(text)) + text + number(0)
        )  # fmt: skip
        self._listen()
        return self._path_info()

    def add_archive(self, name: str, feed: Feed) -> str:
        """Add a tree whose archive `feed` writes, and return its path."""
        if self.dialect == "guix":
            self._send(number(7) + string(name) + number(1) + number(1) + string("sha256"))
            feed(self._send)
            self._listen()
            return self._string()
        self._send(number(7) + string(name) + string("fixed:r:sha256") + strings(()) + number(0))
        feed(self._send_frame)
        self._send(number(0))
        self._listen()
        return self._path_info()

    def build(self, derivations: Iterable[str]) -> None:
        """Operation 9: build all outputs of derivations."""
        suffix = "!out" if self.dialect == "nix" else ""
        self._call(9, strings(drv + suffix for drv in derivations) + number(0))
        self._number()

    def ask(self, request: bytes, text: bytes) -> None:
        """Send a request, and read up to a text; then nothing more can be asked on this connection."""
        self._send(request)
        seen = b""
        while text not in seen:
            if not (data := self._stream.recv(1 << 16)):
                raise DaemonError(f"the daemon closed the connection: {seen[-200:]!r}")
            seen = seen[-len(text) :] + data

    def archive_size(self, path: str) -> int:
        """Operation 26: bytes of a path's archive, from what is known of it."""
        self._call(26, string(path))
        if self.dialect == "nix" and not self._number():
            raise DaemonError(f"{path} is not valid")
        self._string()
        self._string()
        self._strings()
        self._number()
        size = self._number()
        if self.dialect == "nix":
            self._number()
            self._strings()
            self._string()
        return size

    def dump(self, path: str, size: int) -> None:
        """Receive a path's archive and drop it; its `size` is known."""
        if self.dialect == "nix":
            self._call(38, string(path))
            self._skip(size)
            return
        self._call(16, string(path) + number(0))
        self._number()

    # Parts

    def _call(
        self,
        operation: int,
        request: bytes,
        give: Give | None = None,
    ) -> None:
        self._send(number(operation) + request)
        self._listen(give)

    def _send(self, data: bytes) -> None:
        self._stream.sendall(data)

    def _send_frame(self, data: bytes) -> None:
        if data:
            self._stream.sendall(number(len(data)))
            self._stream.sendall(data)

    def _read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        if len(data) < size:
            raise DaemonError("the daemon closed the connection")
        return data

    def _skip(self, size: int) -> None:
        """Receive so many bytes, into memory that the next ones take again."""
        while size:
            received = self._file.readinto1(_DROPPED[:size])
            if not received:
                raise DaemonError("the daemon closed the connection")
            size -= received

    def _skip_bytes(self) -> None:
        size = self._number()
        self._skip(size + -size % 8)

    def _number(self) -> int:
        value: int = _U64.unpack(self._read(8))[0]
        return value

    def _bytes(self) -> bytes:
        size = self._number()
        return self._read(size + -size % 8)[:size]

    def _string(self) -> str:
        return self._bytes().decode()

    def _strings(self) -> list[str]:
        return [self._string() for _ in range(self._number())]

    def _fields(self) -> None:
        for _ in range(self._number()):
            (self._bytes if self._number() else self._number)()

    def _path_info(self) -> str:
        path = self._string()
        for _ in range(2):
            self._string()
        self._strings()
        for _ in range(3):
            self._number()
        self._strings()
        self._string()
        return path

    def _listen(self, give: Give | None = None) -> None:
        """Read log messages up to the one that ends them.

        Raises:
            DaemonError: an error ends them.
        """
        while (kind := self._number()) != _LAST:
            if kind == _NEXT:
                self._bytes()
            elif kind == _WRITE:
                self._skip_bytes()
            elif kind == _READ and give is not None:
                self._send(give(self._number()))
            elif kind == _ERROR:
                raise DaemonError(self._error())
            elif kind == _START:
                self._read(24)
                self._bytes()
                self._fields()
                self._number()
            elif kind == _STOP:
                self._number()
            elif kind == _RESULT:
                self._read(16)
                self._fields()
            else:
                raise DaemonError(f"unknown message {kind:#x}")

    def _error(self) -> str:
        if self.dialect == "guix" or self._minor < 26:
            return self._string()
        for read in (self._bytes, self._number, self._bytes):
            read()
        return self._string()


def is_valid_request(path: str) -> bytes:
    """A request of operation 1 (IsValidPath) for `Client.is_valid`."""
    return number(1) + string(path)


def file_archive(path: str) -> Feed:
    """Writes the archive of one big file, read in pieces."""

    def feed(write: Write) -> None:
        size = os.path.getsize(path)
        write(nar.MAGIC + nar.file_head(size, executable=False))
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                write(chunk)
        write(nar.file_tail(size))

    return feed


def bytes_archive(data: bytes) -> Feed:
    """Writes an archive that is held in memory."""

    def feed(write: Write) -> None:
        for start in range(0, len(data), CHUNK):
            write(data[start : start + CHUNK])

    return feed
