"""Archives whose big files go out as open files, and how those are sent."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fruix.errors import ObjectRejectedError
from fruix.store.tree.file_contents import send
from fruix.store.tree.plain_dump import GATHER, OpenFile, PlainDump
from store.helpers import write_file
from store.test_tree import archive_of

SIZE = 3 * (1 << 20) + 5


@contextmanager
def received() -> Iterator[tuple[socket.socket, list[bytes]]]:
    """A socket, and what came out of its other end when the context has ended."""
    here, there = socket.socketpair()
    found: list[bytes] = []

    def read() -> None:
        while data := there.recv(1 << 16):
            found.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        with here:
            yield here, found
    finally:
        thread.join()
        there.close()


@pytest.fixture
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def file(tmp_path: Path, data: bytes) -> Iterator[int]:
    write_file(tmp_path / "big", data)
    descriptor = os.open(tmp_path / "big", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_a_tree_of_all_sorts_of_files(tmp_path: Path, here: int) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "m" / "n").mkdir(parents=True)
    for number in range(300):
        write_file(tmp_path / "tree" / f"f{number}", bytes(number * 7), 0o755 if number % 5 == 0 else 0o644)
    for size in (GATHER - 1, GATHER, GATHER + 1, 5 * GATHER):
        write_file(tmp_path / "tree" / f"f{size}", os.urandom(size), 0o755)
        write_file(tmp_path / "tree" / "m" / "n" / f"{size}", os.urandom(size))
    for name in ("f2", "a", "z"):
        os.symlink("somewhere", tmp_path / "tree" / f"{name}-link")
    archive = archive_of(here, b"tree")  # the same in the other way
    pieces = [
        os.pread(piece.descriptor, piece.size, 0) if isinstance(piece, OpenFile) else piece
        for piece in PlainDump(here, b"tree", "").pieces()
    ]
    assert b"".join(pieces) == archive
    assert max(map(len, pieces)) <= 5 * GATHER


def test_big_files_are_not_read(tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    write_file(tmp_path / "tree" / "big", bytes(SIZE))
    monkeypatch.setattr(os, "read", None)
    sizes = [piece.size for piece in PlainDump(here, b"tree", "").pieces() if isinstance(piece, OpenFile)]
    assert sizes == [SIZE]


def test_a_file_is_sent(file: int, data: bytes) -> None:
    with received() as (stream, found):
        send(file, SIZE, stream.fileno(), where="big")
    assert b"".join(found) == data


@pytest.mark.parametrize("at_first", [True, False])
def test_a_file_that_the_system_cant_hand_over_is_read(
    file: int, data: bytes, at_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendfile = os.sendfile

    def some(out: int, descriptor: int, offset: int, count: int) -> int:
        if at_first or offset:
            raise OSError(errno.EINVAL, "not with this file")
        return sendfile(out, descriptor, offset, count)

    monkeypatch.setattr(os, "sendfile", some)
    with received() as (stream, found):
        send(file, SIZE, stream.fileno(), where="big")
    assert b"".join(found) == data


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_a_file_of_another_size_is_refused(file: int, size: int) -> None:
    with received() as (stream, found), pytest.raises(ObjectRejectedError, match="changed while it was read"):
        send(file, size, stream.fileno(), where="big")
    assert sum(map(len, found)) == min(size, SIZE)


def test_other_errors_are_the_callers(file: int) -> None:
    here, there = socket.socketpair()
    there.close()
    with here, pytest.raises(BrokenPipeError):
        send(file, SIZE, here.fileno(), where="big")
