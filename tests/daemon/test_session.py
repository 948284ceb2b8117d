"""Sessions byte by byte: greetings of both dialects, errors that keep the connection, errors that end it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.serving import Running, build_events, running
from fruix.building.settings import BuildOptions
from fruix.daemon.options import too_much
from fruix.daemon.settings import Settings
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol import handshake, messages
from fruix.protocol.activities import ActivityType, ResultType
from fruix.protocol.messages import Failure, Last, Message, Next
from fruix.protocol.operations import TABLES, operations
from fruix.protocol.options import ClientOptions
from fruix.protocol.reader import Source
from fruix.protocol.schema import Body
from fruix.protocol.wire import Context, Dialect, read_string, write_u64


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


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
        if self.context.dialect is Dialect.NIX:
            assert read_string(self.source, 100).startswith(b"fruix ")
            if self.context.minor >= 35:
                assert self.source.u64() == handshake.TRUSTED
        return self.messages()

    def messages(self) -> list[Message]:
        found: list[Message] = []
        while not found or not isinstance(found[-1], Last | Failure):
            found.append(messages.read(self.source, self.context))
        return found

    def call(self, number: int, *values: Any, body: bytes = b"") -> tuple[list[Message], Any]:
        operation = operations(self.context)[number]
        request = bytearray()
        write_u64(request, number)
        operation.request.write(request, operation.kind(*values), self.context)
        self.stream.sendall(request + body)
        said = self.messages()
        if isinstance(said[-1], Failure):
            return said, None
        return said, operation.reply.parse(operation.reply.read(self.source, self.context), self.context)


def client(daemon: Running, dialect: Dialect = Dialect.NIX, minor: int = 38) -> Client:
    return Client(daemon.plug(), dialect, minor, daemon.store.directory)


def some(daemon: Running, name: str = "thing") -> StorePath:
    return StorePath.of(daemon.store.directory, f"{'b' * 32}-{name}")


VERSIONS = [(Dialect.NIX, minor) for minor in range(34, 39)] + [(Dialect.GUIX, 0x63), (Dialect.GUIX, 0x64)]


@pytest.mark.parametrize(("dialect", "minor"), VERSIONS)
def test_every_version_is_greeted_and_asks(daemon: Running, dialect: Dialect, minor: int) -> None:
    path = daemon.store.add_text("a", b"b")
    user = client(daemon, dialect, minor)
    assert user.greet() == [Last()]
    assert user.call(1, path) == ([Last()], True)
    assert user.call(1, some(daemon)) == ([Last()], False)
    assert user.call(19, ClientOptions()) == ([Last()], None)
    said, reply = user.call(26, path)
    assert reply.nar_size == 120
    assert said == [Last()]


def test_newer_versions_are_served_as_ours(daemon: Running) -> None:
    user = client(daemon)
    user.send(handshake.CLIENT_MAGIC, 0x100 | 45, 0)
    assert [user.source.u64() for _ in range(3)] == [handshake.SERVER_MAGIC, 0x164, 0]


@pytest.mark.parametrize("minor", [20, 33])
def test_older_versions_are_told_so(daemon: Running, minor: int) -> None:
    user = client(daemon, minor=minor)
    user.send(handshake.CLIENT_MAGIC, 0x100 | minor, 0, 0)
    user.source.u64(), user.source.u64()
    if minor >= 33:
        read_string(user.source, 100)
    (said,) = user.messages()
    assert isinstance(said, Failure)
    assert "too old" in said.message
    assert user.source.at_end()


@pytest.mark.parametrize("numbers", [[1], [handshake.CLIENT_MAGIC, 0x226], [handshake.CLIENT_MAGIC, 0x101]])
def test_strangers_are_left(daemon: Running, numbers: list[int]) -> None:
    user = client(daemon)
    user.send(*numbers)
    while not user.source.at_end():
        user.source.read_some(100)


@pytest.mark.parametrize("dialect", Dialect)
def test_unknown_operation_ends_the_session(daemon: Running, dialect: Dialect) -> None:
    user = client(daemon, dialect, 38 if dialect is Dialect.NIX else 0x64)
    user.greet()
    user.send(15)
    (said,) = user.messages()
    assert isinstance(said, Failure)
    assert said.message == "invalid operation 15"
    assert user.source.at_end()


def test_our_own_operations_are_for_our_own_clients(daemon: Running) -> None:
    user = client(daemon)
    user.greet()
    user.send(0x46520001)
    (said,) = user.messages()
    assert isinstance(said, Failure)
    assert user.source.at_end()


@pytest.mark.parametrize("dialect", Dialect)
def test_every_operation_without_handler_says_so(daemon: Running, dialect: Dialect) -> None:
    from fruix.daemon.handlers.table import HANDLERS

    user = client(daemon, dialect, 38 if dialect is Dialect.NIX else 0x64)
    user.greet()
    missing = [row for row in TABLES[dialect] if row.kind not in HANDLERS[dialect] and row.body is Body.NONE]
    plain = [row for row in missing if not row.request.fields]
    assert {row.number for row in missing} >= {14, 20, 34}
    for row in plain:
        said, _ = user.call(row.number)
        assert isinstance(said[-1], Failure)
        assert said[-1].message == (
            f"operation {row.number} ({row.name}) is not implemented in this version of fruix"
        )
    assert user.call(1, some(daemon)) == ([Last()], False)


def test_bad_path_keeps_the_session(daemon: Running) -> None:
    user = client(daemon)
    user.greet()
    user.stream.sendall((1).to_bytes(8, "little") + (8).to_bytes(8, "little") + b"/tmp/foo")
    (said,) = user.messages()
    assert isinstance(said, Failure)
    assert "path '/tmp/foo' is not in the store" in said.message
    assert user.call(1, some(daemon)) == ([Last()], False)


def test_errors_in_the_guix_dialect(daemon: Running) -> None:
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    said, _ = user.call(26, some(daemon))
    assert said == [Failure(f"path `{some(daemon)}' is not valid", 1)]
    said, _ = user.call(10, some(daemon))
    assert said == [Failure(f"path `{some(daemon)}' does not exist and cannot be created", 1)]
    assert user.call(80) == ([Last()], ("download",))


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        ((1 << 63).to_bytes(8, "little"), "at most 4096"),
        ((1).to_bytes(8, "little") + b"a\x01\0\0\0\0\0\0", "padded"),
    ],
)
def test_broken_strings_end_the_session_with_a_word(
    daemon: Running, request_bytes: bytes, reason: str
) -> None:
    user = client(daemon)
    user.greet()
    user.stream.sendall((1).to_bytes(8, "little") + request_bytes)
    (said,) = user.messages()
    assert isinstance(said, Failure)
    assert reason in said.message
    assert user.source.at_end()


def framed(*pieces: bytes) -> bytes:
    return b"".join(len(piece).to_bytes(8, "little") + piece for piece in (*pieces, b""))


def test_failed_addition_reads_its_frames_and_goes_on(daemon: Running) -> None:
    user = client(daemon)
    user.greet()
    for name, method in ((".bad", "fixed:r:sha256"), ("good", "fixed:r:md9"), ("good", "fixed:r:sha256")):
        said, _ = user.call(7, name, method, (), False, body=framed(b"no archive", b"x" * 100_000))
        assert isinstance(said[-1], Failure)
    _, info = user.call(7, "good", "fixed:sha256", (), False, body=framed(b"con", b"tents"))
    assert Path(str(info.path)).read_bytes() == b"contents"
    _, info = user.call(7, "text", "text:sha256", (), False, body=framed(b"con", b"tents"))
    assert info == daemon.store.path_info(info.path)


def test_guix_additions(daemon: Running) -> None:
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    archive = b"".join(daemon.store.nar(daemon.store.add_text("x", b"text")))
    _, flat = user.call(7, "flat", False, "sha256", body=archive)
    assert Path(str(flat)).read_bytes() == b"text"
    _, tree = user.call(7, "tree", True, "sha256", body=archive)
    assert b"".join(daemon.store.nar(tree)) == archive
    said, _ = user.call(7, "tree", True, "nohash", body=archive)
    assert said == [Failure("unknown hash type", 1)]
    assert user.call(1, tree) == ([Last()], True)


def test_an_archive_that_breaks_off_ends_the_session(daemon: Running) -> None:
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    said, _ = user.call(7, "tree", True, "sha256", body=b"\x0d" + bytes(200))
    assert isinstance(said[-1], Failure)
    assert user.source.at_end()


def test_nix_clients_see_activities(daemon: Running) -> None:
    drv = some(daemon, "x.drv")
    daemon.builder.events = build_events(drv)
    user = client(daemon)
    user.greet()
    said, _ = user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)
    kinds = [(type(message).__name__, getattr(message, "type", None)) for message in said]
    assert kinds == [
        ("StartActivity", ActivityType.BUILD),
        ("Result", ResultType.SET_PHASE),
        ("Result", ResultType.BUILD_LOG_LINE),
        ("StopActivity", None),
        ("Last", None),
    ]
    assert daemon.builder.seen[0].contract == "nix"


def test_guix_clients_see_traces(daemon: Running) -> None:
    drv = some(daemon, "x.drv")
    daemon.builder.events = build_events(drv)
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    options = ClientOptions(overrides={"multiplexed-build-output": "true", "build-timeout": "7"})
    assert user.call(19, options)[0] == [Last()]
    said, _ = user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)
    texts = [message.text for message in said if isinstance(message, Next)]
    assert texts[0].startswith(f"@ build-started {drv} - ")
    assert texts[0].endswith(" /log/thing.gz 42\n")
    assert texts[1:] == [
        "@ build-log 42 24\n@nix {} not a command \udcff\n",
        f"@ build-succeeded {drv} -\n",
    ]
    assert daemon.builder.seen[0].contract == "guix"
    assert daemon.builder.seen[0].timeout == 7


@pytest.mark.parametrize(
    ("status", "number"),
    [(BuildStatus.PERMANENT_FAILURE, 100), (BuildStatus.TIMED_OUT, 101), (BuildStatus.OUTPUT_REJECTED, 1)],
)
def test_failed_builds(daemon: Running, status: BuildStatus, number: int) -> None:
    drv, other = some(daemon, "x.drv"), some(daemon, "y.drv")
    result = BuildResult(status, "it broke")
    daemon.builder.results = {drv: result, other: result}
    nix = client(daemon)
    nix.greet()
    assert nix.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0] == [Failure("it broke")]
    both = (DerivedPath(drv, ALL), DerivedPath(other, ALL))
    assert nix.call(9, both, BuildMode.NORMAL)[0] == [
        Next("error: it broke\n"),
        Next("error: it broke\n"),
        Failure(f"build of '{drv}!*', '{other}!*' failed"),
    ]
    assert nix.call(46, both, BuildMode.NORMAL)[1] == tuple((request, result) for request in both)
    guix = client(daemon, Dialect.GUIX, 0x64)
    guix.greet()
    assert guix.call(9, both, BuildMode.NORMAL)[0] == [Failure(f"build of `{drv}', `{other}' failed", number)]


LIMITED = Settings(building={"timeout_limit": 100, "silent_time_limit": 10})


def test_who_asks_for_more_time_than_is_allowed_is_told(tmp_path: Path) -> None:
    """Clients of Nix when they say what they want, those of Guix, which don't read so much there, when they build."""
    said = {}
    asked = ClientOptions(verbosity=1, max_silent_time=10, overrides={"build-timeout": "0"})
    for dialect, minor in ((Dialect.NIX, 38), (Dialect.GUIX, 0x64)):
        with running(tmp_path, LIMITED) as daemon:
            drv = some(daemon, "a.drv")
            user = client(daemon, dialect, minor)
            user.greet()
            said[dialect] = [
                user.call(19, asked)[0],
                user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0],
            ]
    text = "warning: 'timeout' is 100 seconds at most here; asked for: no limit\n"
    assert said[Dialect.NIX] == [[Next(text), Last()], [Last()]]
    assert said[Dialect.GUIX] == [[Last()], [Next(text), Last()]]


@pytest.mark.parametrize(
    ("timeout", "silence", "warnings"),
    [(None, None, 0), (100, 10, 0), (101, 10, 1), (0, 0, 2), (5, 11, 1)],
)
def test_what_is_more_than_allowed(timeout: int | None, silence: int | None, warnings: int) -> None:
    wished = BuildOptions(timeout=timeout, max_silent_time=silence)
    assert len([*too_much(wished, LIMITED.build)]) == warnings
    assert [*too_much(wished, Settings().build)] == []


def test_warnings_about_settings(daemon: Running) -> None:
    user = client(daemon)
    user.greet()
    options = ClientOptions(verbosity=3, overrides={"sandbox": "false", "cores": "2", "max-jobs": "4"})
    said, _ = user.call(19, options)
    assert len(said) == 2
    assert isinstance(said[0], Next)
    assert "'sandbox'" in said[0].text
    said, _ = user.call(19, ClientOptions(overrides={"cores": "many"}))
    assert isinstance(said[-1], Failure)
    assert "`cores' should have an integer value" in said[-1].message


def test_verification_reports(daemon: Running) -> None:
    path = daemon.store.add_text("a", b"b")
    user = client(daemon)
    user.greet()
    assert user.call(35, True, False) == ([Last()], False)
    Path(str(path)).unlink()
    said, reply = user.call(35, True, False)
    assert reply is True
    assert any(isinstance(message, Next) and str(path) in message.text for message in said)


def test_stream_of_objects(daemon: Running) -> None:
    from fruix.protocol.streams import write_objects

    user = client(daemon)
    user.greet()
    sources = [daemon.store.add_text(name, name.encode()) for name in ("one", "two")]
    infos = []
    for number, path in enumerate(sources):
        info = daemon.store.path_info(path)
        assert info is not None
        renamed = StorePath.of(daemon.store.directory, f"{'c' * 31}{number}-{path.name}")
        infos.append((replaced(info, renamed), daemon.store.nar(path)))
    body = framed(b"".join(write_objects(infos, 2, user.context)))
    assert user.call(44, False, True, body=body) == ([Last()], None)
    assert all(daemon.store.is_valid(info.path) for info, _ in infos)


def replaced(info: Any, path: StorePath) -> Any:
    from dataclasses import replace

    return replace(info, path=path, content_address=None)


def test_temporary_roots_go_with_the_session(daemon: Running) -> None:
    user = client(daemon)
    user.greet()
    user.call(11, some(daemon))
    assert some(daemon) in daemon.store.temp_roots
    user.stream.close()
    daemon.server.stop()
    for thread in list(daemon.server._sessions):
        thread.join()
    assert some(daemon) not in daemon.store.temp_roots
