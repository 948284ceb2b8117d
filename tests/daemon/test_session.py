"""Sessions byte by byte: greetings of both dialects, errors that keep the connection, errors that end it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.asking import client, framed, some
from daemon.serving import Running, running
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.storepath import StorePath
from fruix.protocol import handshake
from fruix.protocol.common_operations import SyncWithGC
from fruix.protocol.messages import Failure, Last, Next
from fruix.protocol.operations import TABLES
from fruix.protocol.options import ClientOptions
from fruix.protocol.records import Body
from fruix.protocol.wire import Dialect


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


VERSIONS = [(Dialect.NIX, minor) for minor in range(21, 39)] + [(Dialect.GUIX, 0x63), (Dialect.GUIX, 0x64)]


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


def test_older_versions_are_told_so(daemon: Running) -> None:
    user = client(daemon, minor=20)
    user.send(handshake.CLIENT_MAGIC, 0x100 | 20, 0, 0)
    user.source.u64(), user.source.u64()
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
def test_every_operation_is_served(dialect: Dialect) -> None:
    from fruix.daemon.handlers.table import HANDLERS

    assert [row.number for row in TABLES[dialect] if row.kind not in HANDLERS[dialect]] == []


@pytest.mark.parametrize("dialect", Dialect)
def test_every_operation_without_handler_says_so(
    daemon: Running, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fruix.daemon.handlers.table import HANDLERS

    monkeypatch.delitem(HANDLERS[dialect], SyncWithGC)  # type: ignore[misc]
    user = client(daemon, dialect, 38 if dialect is Dialect.NIX else 0x64)
    user.greet()
    missing = [row for row in TABLES[dialect] if row.kind not in HANDLERS[dialect] and row.body is Body.NONE]
    plain = [row for row in missing if not row.request.fields]
    assert 13 in {row.number for row in plain}
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
    daemon.builder.results[some(daemon)] = BuildResult(BuildStatus.NO_SUBSTITUTERS)
    said, _ = user.call(10, some(daemon))
    assert said == [Failure(f"path `{some(daemon)}' does not exist and cannot be created", 1)]
    assert user.call(80) == ([Last()], ("download", "git-download"))


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


@pytest.mark.parametrize(("dialect", "minor"), [(Dialect.GUIX, 0x64), (Dialect.NIX, 21)])
def test_additions_of_guix_and_old_clients(daemon: Running, dialect: Dialect, minor: int) -> None:
    user = client(daemon, dialect, minor)
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


def test_verification_reports(daemon: Running) -> None:
    path = daemon.store.add_text("a", b"b")
    user = client(daemon)
    user.greet()
    said, reply = user.call(35, True, False)
    assert reply is False
    assert not any(isinstance(message, Next) and str(path) in message.text for message in said)
    Path(str(path)).unlink()
    said, reply = user.call(35, True, False)
    assert reply is False  # what is wrong is not any more
    gone = f"path '{path}' disappeared, removing from database..."
    assert any(isinstance(message, Next) and gone in message.text for message in said)
    assert not daemon.store.is_valid(path)


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
