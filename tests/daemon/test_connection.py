"""Messages that come together go out together, in their order, and none is kept back; big files have room."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.daemon.connection import Connection
from fruix.errors import DisconnectedError
from fruix.store.tree.plain_dump import OpenFile


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    # Borders of messages are kept, so each send is seen.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.setblocking(False)
        yield Connection(ours), theirs


def sent(theirs: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(theirs.recv(1 << 20))
        except BlockingIOError:
            return found


def test_what_is_held_goes_out_before_what_follows_in_one_call(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, theirs = ends
    connection.hold(b"a")
    connection.hold(b"b")
    assert sent(theirs) == []
    connection.send(memoryview(b"c"))
    assert sent(theirs) == [b"abc"]


def test_a_flush_sends_what_is_held_once(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    connection.hold(b"a")
    connection.flush()
    connection.flush()
    assert sent(theirs) == [b"a"]


def test_not_much_is_held(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    for _ in range(3):
        connection.hold(b"x" * 50_000)
    assert [len(piece) for piece in sent(theirs)] == [100_000]


def test_a_client_that_has_gone_is_noticed_by_the_flush(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    theirs.close()
    connection.hold(b"a")
    with pytest.raises(DisconnectedError):
        connection.flush()


def test_only_for_a_big_file_more_may_be_on_its_way(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours)
        rooms = []
        for contents in (b"small", b"big" * 1_000_000):
            (tmp_path / "file").write_bytes(contents)
            with open(tmp_path / "file", "rb") as file:
                piece = OpenFile(file.fileno(), len(contents), "file")
                sender = threading.Thread(target=connection.send_file, args=[piece])
                sender.start()
                assert theirs.recv(len(contents), socket.MSG_WAITALL) == contents
                sender.join()
            rooms.append(ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        unchanged, wide = rooms
        with socket.socket(socket.AF_UNIX) as fresh:
            assert unchanged == fresh.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < wide
