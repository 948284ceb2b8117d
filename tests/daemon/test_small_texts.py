"""Adding a text the quick way: the bytes that a client gets are those of the careful way, for less work."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from daemon.serving import Running
from fruix.daemon.handlers.small_texts import SmallTexts
from fruix.model.storepath import StorePath
from fruix.protocol.numbers import CLIENT_MAGIC, GUIX_NEWEST, LAST
from wire import number, string, strings

TEXT, FRAMED = 8, 7
MANY = 20
# Of Python's functions, in all and for each reference; 243 and 12 for AddToStore while requests were read by
# the tables of operations, and texts added as values.
MOST_CALLS, MOST_FOR_A_REFERENCE = 84, 2


def request(kind: int, name: str, text: bytes, references: list[str]) -> bytes:
    if kind == TEXT:
        return number(TEXT) + string(name) + string(text) + strings(references)
    head = number(FRAMED) + string(name) + string("text:sha256") + strings(references) + number(0)
    return head + (number(len(text)) + text if text else b"") + number(0)


def greeted(daemon: Running, minor: int = 35) -> socket.socket:
    stream = daemon.plug()
    stream.sendall(number(CLIENT_MAGIC) + number(0x100 | minor) + number(0) + number(0))
    heard = b""
    while not heard.endswith(number(LAST)):
        heard += receive(stream)
    return stream


def receive(stream: socket.socket) -> bytes:
    return stream.recv(1 << 16)


def asked(stream: socket.socket, *pieces: bytes) -> bytes:
    for piece in pieces:
        stream.sendall(piece)
    return receive(stream)


def forget(daemon: Running) -> None:
    for path in reversed(daemon.store.all_valid_paths()):
        if "kept" not in path.name:
            daemon.store.database.remove([path])
            os.unlink(daemon.store.real(path))


CLIENTS = [(TEXT, 35), (FRAMED, 35), (TEXT, GUIX_NEWEST), (TEXT, 23)]


@pytest.mark.parametrize(("kind", "minor"), CLIENTS)
def test_answers_are_the_same(
    daemon: Running, worked_on: list[str], monkeypatch: pytest.MonkeyPatch, kind: int, minor: int
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_900_000_000.5)
    kept = [daemon.store.add_text(f"kept-{index}", b"").text for index in range(3)]
    missing = kept[0].replace("kept", "gone")
    requests = [
        request(kind, name, text, references)
        for name, text, references in (
            ("one", b"1", []),
            ("two", b"2" * 1000, kept),
            ("again", b"", [*kept, *kept]),
            ("bad name", b"", []),
            ("text", b"bad reference", [missing]),
            ("bad.drv", b"Derive", []),
            ("big", b"b" * 20_000, []),
            ("last", b"3", []),
        )
    ]
    with greeted(daemon, minor) as stream:
        quick = [asked(stream, each) for each in requests]
    careful = len(worked_on)
    assert careful == {TEXT: 4, FRAMED: 5}[kind]  # an empty text comes in no frame
    forget(daemon)
    monkeypatch.setattr(SmallTexts, "answer", lambda _, data: (None, data))
    with greeted(daemon, minor) as stream:
        assert quick == [asked(stream, each) for each in requests]
    assert len(worked_on) == careful + len(requests)


def test_contents_that_come_apart(daemon: Running, worked_on: list[str]) -> None:
    """Clients of Nix send them in a write of their own."""
    whole = request(FRAMED, "text", b"contents", [])
    cut = len(whole) - 8 - len(b"contents") - 8
    with greeted(daemon) as stream:
        answer = b""
        stream.sendall(whole[:cut])
        time.sleep(0.05)
        answer = asked(stream, whole[cut:])
        (size,) = struct.unpack_from("<Q", answer, 8)
        assert daemon.store.is_valid(StorePath(answer[16 : 16 + size].decode()))
        stream.sendall(whole[:cut].replace(b"text\0", b"next\0"))
        time.sleep(0.05)
        stream.sendall(whole[cut : cut + 12])  # not all of them: the careful way goes on waiting
        time.sleep(0.05)
        assert asked(stream, whole[cut + 12 :])[:8] == answer[:8]
    assert worked_on == ["AddToStore"]


def test_a_client_may_leave_before_contents(daemon: Running) -> None:
    whole = request(FRAMED, "text", b"contents", [])
    with greeted(daemon) as stream:
        stream.sendall(whole[: len(whole) - 24])
        stream.shutdown(socket.SHUT_WR)
        assert receive(stream) == b""
    assert daemon.store.all_valid_paths() == []


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """How many of Python's functions sessions have called that begin in this context."""
    called: Counter[str] = Counter()

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        called[event] += 1

    before = threading.getprofile()
    threading.setprofile(note)
    try:
        yield lambda: called["call"]
    finally:
        threading.setprofile(before)


@pytest.mark.parametrize(("kind", "minor"), CLIENTS)
def test_cost(daemon: Running, kind: int, minor: int) -> None:
    kept = [daemon.store.add_text(f"kept-{index}", b"").text for index in range(20)]
    costs: list[float] = []
    with counting() as called, greeted(daemon, minor) as stream:
        for count in (0, 0, 10, 20):  # the first ones load what is loaded late
            before = called()
            for index in range(MANY):
                asked(stream, request(kind, f"text-{count}-{len(costs)}-{index}", b"text", kept[:count]))
            costs.append((called() - before) / MANY)
    _, none, ten, twenty = costs
    assert (none <= MOST_CALLS, (twenty - ten) / 10 <= MOST_FOR_A_REFERENCE) == (True, True), costs


def test_threads_add_the_same(daemon: Running) -> None:
    """Whoever comes second is answered as well."""
    answers: list[bytes] = []

    def add() -> None:
        with greeted(daemon) as stream:
            answers.extend(asked(stream, request(TEXT, f"text-{index}", b"text", [])) for index in range(50))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 200
    assert len(set(answers)) == 50
    assert len(daemon.store.all_valid_paths()) == 50
    assert daemon.store.verify(contents=True) == []
