#!/usr/bin/env python3
"""bare_daemon.py BASE: the least that a daemon in Python costs, on the socket BASE/socket.

It answers the requests of some rows with the calls of the system that they can't do without, and
does nothing else: it checks nothing, protects nothing but new texts and outputs (from a collection of
garbage, as every daemon has to), brings nothing to disk, serves nobody but `wire.Client` in Nix's
dialect. What it needs is what the interpreter needs. A row where it is behind a peer is one where a
daemon in Python has to be.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import bare_building

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # it runs isolated
sys.path.append(f"{os.path.dirname(sys.path[-1])}/src")

from bare_common import U64, database, file_archive, number, string

_VERSION = 0x123  # 1.35
_DAEMON_MAGIC, _LAST = 0x6478696F, 0x616C7473
_TEXTS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdfghijklmnpqrsvwxyz")
_PIECE, _RECEIVED = 1 << 18, 1 << 16
LAST = number(_LAST)
BUILT = b"-built.drv"  # which the names of derivations end with that count as built already


class Store:
    """A directory, a database, and the bytes of answers."""

    def __init__(self, base: str) -> None:
        self.directory = f"{base}/store"
        os.makedirs(self.directory, exist_ok=True)
        self.place = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        self.database = database(base)
        self.turn = threading.Lock()
        self.answers: dict[bytes, bytes] = {}
        self.names = iter(range(1 << 62))
        self._gate = os.open(f"{base}/gate", os.O_RDWR | os.O_CREAT, 0o600)
        self._roots = os.open(f"{base}/roots", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._building: bare_building.Building | None = None

    def building(self) -> bare_building.Building:
        """What builds; made when it is asked for first."""
        import bare_building  # noqa: PLC0415 - the start is a row of its own

        if self._building is None:
            self._building = bare_building.Building(self)
        return self._building

    def path(self, base: bytes) -> bytes:
        """That of a name in it."""
        return self.directory.encode() + b"/" + base

    def protect(self, path: bytes) -> None:
        """A temporary root, in a moment when nothing is collected."""
        fcntl.flock(self._gate, fcntl.LOCK_SH)
        os.write(self._roots, path + b"\0")
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def register(
        self,
        path: bytes,
        digest: bytes,
        size: int,
        references: list[bytes],
        *,
        deriver: str | None = None,
        address: str | None = None,
    ) -> bytes:
        """A row for a path, and the answers to what will be asked of it; its info as it is sent."""
        with self.turn:
            row = self.database.execute
            row("begin immediate")
            found = row(
                "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ca)"
                " values (?, ?, ?, ?, ?, ?)",
                (path.decode(), f"sha256:{digest.hex()}", int(time.time()), deriver, size, address),
            )
            for reference in references:
                noted = row(
                    "insert into Refs select ?, id from ValidPaths where path = ?",
                    (found.lastrowid, reference.decode()),
                )
                assert noted.rowcount == 1, reference
            row("commit")
        info = _told(digest.hex().encode(), references, 0, size, deriver or "", address or "")
        self.answers[number(1) + string(path)] = LAST + number(1)
        self.answers[number(26) + string(path)] = LAST + number(1) + info
        return LAST + string(path) + info


def _told(
    digest: bytes, references: list[bytes], registered: int, size: int, deriver: str, address: str
) -> bytes:
    """What is known of a path, as it is sent: without signatures."""
    listed = number(len(references)) + b"".join(map(string, references))
    numbers = number(registered) + number(size) + number(0) * 2
    return string(deriver.encode()) + string(digest) + listed + numbers + string(address.encode())


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
        value: int = U64.unpack(self.take(8))[0]
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
    """Derivations, unless they count as built."""
    request = session.data
    asked = [path.partition(b"!")[0] for path in session.strings()]
    session.number()
    told = b""
    left: list[bare_building.Left] = []
    if not asked[0].endswith(BUILT):
        told, left = session.store.building().build(asked)
    session.store.answers[request] = LAST + number(1)
    session.stream.sendall(told + LAST + number(1))
    if left:
        session.store.building().tidy(left)


def add(session: Session) -> None:
    """A text, or an archive that is unpacked."""
    name, method, references, _ = session.string(), session.string(), session.strings(), session.number()
    store = session.store
    if method == b"text:sha256":
        text = b"".join(session.frames())
        digest, archive = hashlib.sha256(text).digest(), file_archive(text)
        address = f"text:sha256:{base64.b32encode(digest).translate(_TEXTS).decode().rstrip('=')}"
        final = _final(digest, name, references)
        temporary = _write(store, final, text)
        digest, size = hashlib.sha256(archive).digest(), len(archive)
    else:
        import bare_archives  # noqa: PLC0415 - the start is a row of its own

        frames = session.frames()
        unpacked = bare_archives.Unpacking(store.directory, next(store.names), frames)
        for _ in frames:  # the empty one at the end
            pass
        address = None
        temporary, digest, size = unpacked.name, unpacked.hash.digest(), unpacked.size
        final = _final(digest, name, references)
    os.rename(temporary, final, src_dir_fd=store.place, dst_dir_fd=store.place)
    session.stream.sendall(store.register(store.path(final), digest, size, references, address=address))


def _final(digest: bytes, name: bytes, references: list[bytes]) -> bytes:
    whole = hashlib.sha256(digest.hex().encode() + name + b"".join(references)).digest()
    return base64.b32encode(whole[:20]).translate(_TEXTS) + b"-" + name


def _write(store: Store, final: bytes, text: bytes) -> bytes:
    """The text that is to be `final`, which isn't there, under a name of its own."""
    store.protect(store.path(final))
    with contextlib.suppress(FileNotFoundError):
        os.lstat(final, dir_fd=store.place)
        raise FileExistsError(final)
    name = b".%d" % next(store.names)
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444, dir_fd=store.place)
    os.write(file, text)
    os.utime(file, (1, 1))
    os.close(file)
    return name


def info(session: Session) -> None:
    """What is known of a path, which nobody asked for before."""
    ask = session.store.database.execute
    row, digest, registered, deriver, size, address = ask(
        "select id, hash, registrationTime, deriver, narSize, ca from ValidPaths where path = ?",
        (session.string().decode(),),
    ).fetchone()
    found = ask("select path from Refs join ValidPaths on id = reference where referrer = ?", (row,))
    references = [path.encode() for (path,) in found]
    session.stream.sendall(
        LAST
        + number(1)
        + _told(digest[-64:].encode(), references, registered, size, deriver or "", address or "")
    )


def keep(session: Session) -> None:
    """Another root of garbage that isn't collected."""
    session.string()
    session.stream.sendall(LAST + number(1))


def dump(session: Session) -> None:
    """The archive of a path."""
    import bare_archives  # noqa: PLC0415 - the start is a row of its own

    path = session.string().decode()
    dumping = bare_archives.Dumping(session.stream, LAST)
    if os.path.isdir(path):
        dumping.directory(path)
    else:
        dumping.file(path, b"")
    dumping.flush()


def plan(session: Session) -> None:
    """What has to be built for one derivation."""
    import bare_plans  # noqa: PLC0415 - the start is a row of its own

    (asked,) = session.strings()
    built = bare_plans.missing(session.store.place, session.store.database, asked.partition(b"!")[0])
    session.stream.sendall(LAST + number(len(built)) + b"".join(map(string, built)) + 4 * number(0))


OPERATIONS: dict[int, Callable[[Session], None]] = {7: add, 9: build, 12: keep, 26: info, 38: dump, 40: plan}


def _end(arguments: threading.ExceptHookArgs) -> None:
    """A client that has gone ends its own session alone."""
    if not issubclass(arguments.exc_type, SystemExit | ConnectionError):
        sys.excepthook(arguments.exc_type, arguments.exc_value or SystemExit(), arguments.exc_traceback)
        os._exit(1)


def main() -> None:
    """Serve until a signal ends it, or an error: clients don't wait for what can't be."""
    base = sys.argv[1]
    os.umask(0o022)
    threading.excepthook = _end
    listener = socket.socket(socket.AF_UNIX)
    store = Store(base)
    listener.bind(f"{base}/socket")
    listener.listen(64)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=Session(stream, store).run, daemon=True).start()


if __name__ == "__main__":
    main()
