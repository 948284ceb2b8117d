#!/usr/bin/env python3
"""bare_daemon.py BASE: the least that a daemon in Python costs, on the socket BASE/socket.

It answers the requests of some rows with the calls of the system that they can't do without, and
does nothing else: it checks nothing, protects nothing, brings nothing to disk, serves nobody but
`wire.Client` in Nix's dialect. What it needs is what the interpreter needs. A row where it is behind
a peer is one where a daemon in Python has to be.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

_U64 = struct.Struct("<Q")
_VERSION = 0x123  # 1.35
_DAEMON_MAGIC, _LAST = 0x6478696F, 0x616C7473
_TEXTS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdfghijklmnpqrsvwxyz")
_PIECE, _RECEIVED = 1 << 18, 1 << 16
_TABLES = """
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null,
    hash text not null, registrationTime integer not null, narSize integer);
create table Refs (referrer integer not null references ValidPaths(id),
    reference integer not null references ValidPaths(id), primary key (referrer, reference));
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
"""


def number(value: int) -> bytes:
    """A number on the wire."""
    return _U64.pack(value)


def string(value: bytes) -> bytes:
    """A string on the wire."""
    return _U64.pack(len(value)) + value + bytes(-len(value) % 8)


LAST = number(_LAST)


class Store:
    """A directory, a database, and the bytes of answers."""

    def __init__(self, base: str) -> None:
        self.directory = f"{base}/store"
        os.makedirs(self.directory, exist_ok=True)
        self.place = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        self.database = sqlite3.connect(f"{base}/db.sqlite", isolation_level=None, check_same_thread=False)
        for statement in ("journal_mode = wal", "synchronous = normal", "wal_autocheckpoint = 40000"):
            self.database.execute(f"pragma {statement}").fetchone()
        if not self.database.execute("select 1 from sqlite_master").fetchone():
            self.database.executescript(_TABLES)
        self.turn = threading.Lock()
        self.answers: dict[bytes, bytes] = {}
        self.names = iter(range(1 << 62))

    def register(self, path: bytes, digest: bytes, size: int, references: list[bytes]) -> bytes:
        """A row for a path, and the answers to what will be asked of it; its info as it is sent."""
        with self.turn:
            row = self.database.execute
            row("begin immediate")
            found = row(
                "insert into ValidPaths (path, hash, registrationTime, narSize) values (?, ?, ?, ?)",
                (path.decode(), digest.hex(), int(time.time()), size),
            )
            for reference in references:
                row(
                    "insert into Refs select ?, id from ValidPaths where path = ?",
                    (found.lastrowid, reference.decode()),
                )
            row("commit")
        listed = number(len(references)) + b"".join(map(string, references))
        info = (
            string(b"")
            + string(digest.hex().encode())
            + listed
            + number(0)
            + number(size)
            + number(0) * 2
            + string(b"")
        )
        self.answers[number(1) + string(path)] = LAST + number(1)
        self.answers[number(26) + string(path)] = LAST + number(1) + info
        return LAST + string(path) + info


class Session:
    """One client."""

    def __init__(self, stream: socket.socket, store: Store) -> None:
        self.stream, self.store = stream, store
        self.data, self.at = b"", 0

    def run(self) -> None:
        """Greet, and answer until the client goes."""
        self.take(8)
        self.stream.sendall(number(_DAEMON_MAGIC) + number(_VERSION))
        self.take(24)
        self.stream.sendall(string(b"bare") + number(1) + LAST)
        while True:
            self.data, self.at = self.stream.recv(_RECEIVED), 0
            if not self.data:
                return
            if (answer := self.store.answers.get(self.data)) is None:
                OPERATIONS[self.number()](self)
            else:
                self.stream.sendall(answer)

    def take(self, size: int) -> bytes:
        """So many bytes of what comes."""
        while len(self.data) - self.at < size:
            more = self.stream.recv(max(_RECEIVED, size))
            if not more:
                sys.exit()
            self.data, self.at = self.data[self.at :] + more, 0
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        """A number that comes."""
        value: int = _U64.unpack(self.take(8))[0]
        return value

    def string(self) -> bytes:
        """A string that comes."""
        size = self.number()
        return self.take(size + -size % 8)[:size]

    def strings(self) -> list[bytes]:
        """A list of strings that comes."""
        return [self.string() for _ in range(self.number())]

    def frames(self) -> Iterator[bytes]:
        """The contents of a framed stream, as it comes."""
        while left := self.number():
            while left:
                piece = self.take(min(left, len(self.data) - self.at or 1))
                left -= len(piece)
                yield piece


def build(session: Session) -> None:
    """Everything is built already."""
    request = session.data
    session.at = len(request)
    session.store.answers[request] = LAST + number(1)
    session.stream.sendall(LAST + number(1))


def add(session: Session) -> None:
    """A text, or an archive that is unpacked."""
    name, method, references, _ = session.string(), session.string(), session.strings(), session.number()
    if method == b"text:sha256":
        text = b"".join(session.frames())
        digest, size = hashlib.sha256(text).digest(), len(text)
        temporary = _write(session.store, text)
    else:
        unpacked = Unpacking(session.store, session.frames())
        temporary, digest, size = unpacked.name, unpacked.hash.digest(), unpacked.size
    whole = hashlib.sha256(digest.hex().encode() + name + b"".join(references)).digest()
    final = base64.b32encode(whole[:20]).translate(_TEXTS) + b"-" + name
    os.rename(temporary, final, src_dir_fd=session.store.place, dst_dir_fd=session.store.place)
    path = session.store.directory.encode() + b"/" + final
    session.stream.sendall(session.store.register(path, digest, size, references))


def _write(store: Store, text: bytes) -> bytes:
    name = b".%d" % next(store.names)
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444, dir_fd=store.place)
    os.write(file, text)
    os.utime(file, (1, 1))
    os.close(file)
    return name


class Unpacking:
    """An archive of files in directories, without executables or links, becomes that."""

    def __init__(self, store: Store, pieces: Iterator[bytes]) -> None:
        self.name = b".%d" % next(store.names)
        self.hash, self.size = hashlib.sha256(), 0
        self._pieces, self._data, self._at = pieces, b"", 0
        self._string()
        self._node(store.directory.encode() + b"/" + self.name)

    def _more(self) -> None:
        piece = next(self._pieces)
        self.hash.update(piece)
        self.size += len(piece)
        self._data, self._at = self._data[self._at :] + piece, 0

    def _string(self) -> bytes:
        while len(self._data) - self._at < 8:
            self._more()
        size: int = _U64.unpack_from(self._data, self._at)[0]
        end = self._at + 8 + size + -size % 8
        while len(self._data) < end:
            before = self._at
            self._more()
            end -= before
        self._at, begun = end, self._at + 8
        return self._data[begun : begun + size]

    def _node(self, path: bytes) -> None:
        self._string(), self._string()
        if self._string() == b"directory":
            os.mkdir(path)
            while self._string() == b"entry":
                self._string(), self._string()
                name = self._string()
                self._string()
                self._node(path + b"/" + name)
                self._string()
        else:
            self._file(path)
            self._string()

    def _file(self, path: bytes) -> None:
        self._string()  # contents
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        while len(self._data) - self._at < 8:
            self._more()
        size: int = _U64.unpack_from(self._data, self._at)[0]
        self._at += 8
        left = size + -size % 8
        while left:
            if self._at == len(self._data):
                self._more()
            piece = self._data[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            size -= os.write(file, piece[:size])
        os.utime(file, (1, 1))
        os.close(file)


def dump(session: Session) -> None:
    """The archive of a path."""
    path = session.string().decode()
    pieces = [LAST, string(b"nix-archive-1")]
    size = 0
    for piece in _dumped(path):
        pieces.append(piece)
        size += len(piece)
        if size >= _PIECE:
            session.stream.sendall(b"".join(pieces))
            pieces, size = [], 0
    session.stream.sendall(b"".join(pieces))


_FILE = string(b"(") + string(b"type") + string(b"regular") + string(b"contents")
_DIRECTORY = string(b"(") + string(b"type") + string(b"directory")
_ENTRY, _NODE, _END = string(b"entry") + string(b"(") + string(b"name"), string(b"node"), string(b")")


def _dumped(path: str) -> Iterator[bytes]:
    try:
        entries = sorted(os.listdir(path))
    except NotADirectoryError:
        file = os.open(path, os.O_RDONLY)
        size = os.fstat(file).st_size
        yield _FILE + number(size)
        while data := os.read(file, _PIECE):
            yield data
        os.close(file)
        yield bytes(-size % 8) + _END
        return
    yield _DIRECTORY
    with os.scandir(path) as found:
        kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
    for name in entries:
        yield _ENTRY + string(name.encode()) + _NODE
        if kinds[name]:
            yield from _dumped(f"{path}/{name}")
        else:
            file = os.open(f"{path}/{name}", os.O_RDONLY)
            size = os.fstat(file).st_size
            yield _FILE + number(size) + os.read(file, size) + bytes(-size % 8) + _END
            os.close(file)
        yield _END
    yield _END


def plan(session: Session) -> None:
    """What has to be built for one derivation."""
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import bare_plans  # noqa: PLC0415 - it runs isolated; and the start is a row of its own

    (asked,) = session.strings()
    built = bare_plans.missing(session.store.place, session.store.database, asked.partition(b"!")[0])
    session.stream.sendall(LAST + number(len(built)) + b"".join(map(string, built)) + 4 * number(0))


OPERATIONS: dict[int, Callable[[Session], None]] = {7: add, 9: build, 38: dump, 40: plan}


def main() -> None:
    """Serve until a signal ends it."""
    base = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    store = Store(base)
    listener.bind(f"{base}/socket")
    listener.listen(64)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=Session(stream, store).run, daemon=True).start()


if __name__ == "__main__":
    main()
