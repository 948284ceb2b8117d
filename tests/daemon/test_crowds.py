"""A crowd of connections costs the others nothing, and who is refused learns why."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.crowd import NOBODY, crowd, descriptors, open_to_all, threads
from daemon.serving import Running, running
from fruix.client import RemoteStore
from fruix.daemon import refusing
from fruix.daemon.client_log import LINES, LINES_OF_A_USER, PERIOD, ClientLog
from fruix.daemon.peers import REFUSAL_HOLDS, Access, Admission, Peer
from fruix.daemon.settings import Settings
from fruix.errors import FruixError, NotPermittedError
from fruix.log import Log
from fruix.protocol import handshake, messages
from fruix.protocol.reader import Source
from fruix.protocol.wire import Context, Dialect
from fruix.store import readers
from machine import OTHER_USERS

MANY = 500
# Listening socket, spare, wake-up pairs, and what the process opens in passing.
FEW = 8

root_and_others = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machine: only root can be several users"),
    OTHER_USERS,
]


def several_users(test: Callable[..., None]) -> Callable[..., None]:
    for mark in root_and_others:
        test = mark(test)
    return test


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(daemon: Running) -> None:
    """Root is served."""
    with daemon.connect() as store:
        assert store.all_valid_paths() == []


@several_users
@pytest.mark.parametrize("allowed", ["*", "root"])
def test_one_users_crowd(allowed: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(allowed_users=(allowed,), max_connections_per_user=12)
    served = 12 if allowed == "*" else 0
    with open_to_all() as directory, running(directory, settings) as daemon:
        ask(daemon)
        before = threads(), descriptors()
        with crowd(daemon.path, MANY) as held:
            ask(daemon)
            assert daemon.server.connections <= served + 1  # root's may still be on its way out
            assert threads() <= before[0] + served + 1
            assert descriptors() <= before[1] + served + refusing.MOST_OF_A_USER + FEW
            reason = b"has 12 connections already" if served else b"is not allowed to connect"
            for number in (served, MANY // 2, MANY - 1):
                assert reason in held.received(number)
        ask(daemon)
        until(lambda: threads() <= before[0] + 1)
        until(lambda: descriptors() <= before[1] + FEW)
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 0 < len(lines) <= LINES_OF_A_USER + 1


@several_users
def test_build_users_hear_nothing() -> None:
    with open_to_all() as directory, running(directory) as daemon:
        before = threads(), descriptors()
        with crowd(daemon.path, MANY, 35001) as held:
            ask(daemon)
            assert held.received(0) == b""
            assert threads() <= before[0] + 1
            assert descriptors() <= before[1] + FEW


@several_users
def test_root_has_a_reserve() -> None:
    settings = Settings(max_connections=4, reserved_connections=2)
    with open_to_all() as directory, running(directory, settings) as daemon:
        with crowd(daemon.path, 5) as held:
            with daemon.connect(), daemon.connect():
                with pytest.raises(FruixError, match="the daemon has 6 connections already") as caught:
                    daemon.connect()
                assert "'max-connections'" in caught.value.hint
            assert b"connections already" in held.received(4)
            until(lambda: daemon.server.connections == 4)
            ask(daemon)
        until(lambda: daemon.server.connections == 0)
        with crowd(daemon.path, 4):  # those that were refused did not count
            until(lambda: daemon.server.connections == 4)


@pytest.mark.parametrize(
    ("minor", "numbers"),
    [(0x63, (0, 1)), (0x64, (0, 1)), (34, (0, 0)), (37, (0, 0)), (38, (0, 0))],
)
@pytest.mark.parametrize("late", [False, True])
def test_every_client_learns_why(
    tmp_path_factory: pytest.TempPathFactory, minor: int, numbers: tuple[int, int], late: bool
) -> None:
    """As clients do it: the first number alone (Guix) or with the version; the rest after the daemon's."""
    dialect = Dialect.GUIX if minor >= 0x60 else Dialect.NIX
    settings = Settings(max_connections=1, reserved_connections=0)
    with running(tmp_path_factory.mktemp("d"), settings) as daemon, daemon.connect():
        stream = daemon.plug()
        if late:
            assert stream.recv(1, socket.MSG_PEEK)
        source = Source(stream.recv)
        stream.sendall(handshake.CLIENT_MAGIC.to_bytes(8, "little"))
        assert source.u64() == handshake.SERVER_MAGIC
        announced = source.u64()
        assert announced >> 8 == 1
        stream.sendall(b"".join(number.to_bytes(8, "little") for number in (0x100 | minor, *numbers)))
        # Every client takes the smaller version of both, or (Guix) reads plain errors in all of
        # them.
        context = Context(dialect, min(minor, announced & 0xFF), daemon.store.directory)
        said = messages.read(source, context)
        assert isinstance(said, messages.Failure)
        assert said.message.startswith("the daemon has 1 connections already\nask again")
        assert said.status == 1
        assert source.at_end()


def test_refused_clients_are_forgotten(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusing, "PATIENCE", 0.2)
    settings = Settings(max_connections=1, reserved_connections=0)
    with running(tmp_path_factory.mktemp("d"), settings) as daemon, daemon.connect():
        before = descriptors()
        streams = [daemon.plug() for _ in range(MANY // 10)]
        for stream in streams:
            assert stream.recv(1)
        # Both ends are in this process; those of the daemon go by themselves.
        until(lambda: descriptors() <= before + len(streams))


def test_refusals_are_remembered_for_a_while() -> None:
    looked: list[str] = []

    class Entries(tuple[str, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[str]:
            looked.append("list")
            return super().__iter__()

    now = [0.0]
    admission = Admission(Access(Entries(), ["root"], []), lambda: now[0])
    for seconds, times in ((0.0, 1), (REFUSAL_HOLDS - 1, 1), (REFUSAL_HOLDS + 1, 2)):
        now[0] = seconds
        with pytest.raises(NotPermittedError, match="not allowed to connect"):
            admission.admit(Peer(NOBODY, NOBODY))
        assert len(looked) == times


def test_lines_about_clients_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = ClientLog(Log("test"), lambda: now[0])
    for _ in range(1000):
        log.warning(5, "five")
    log.warning(6, "six")
    assert [record.message for record in caplog.records] == [
        *["five"] * LINES_OF_A_USER,
        "further lines about user 5 are left out for up to 60 s",
        "six",
    ]
    caplog.clear()
    now[0] = PERIOD
    log.warning(5, "five")
    assert [record.message for record in caplog.records] == [
        f"{1000 - LINES_OF_A_USER} lines about clients were left out",
        "five",
    ]
    caplog.clear()
    for uid in range(100, 1000):
        log.warning(uid, "another")
    assert len(caplog.records) == LINES


def test_after_a_peak_of_clients_descriptors_and_threads_are_few(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        ask(daemon)
        before = threads(), descriptors()
        clients = [daemon.connect() for _ in range(200)]
        barrier = threading.Barrier(len(clients))

        def work(store: RemoteStore) -> None:
            barrier.wait(60)
            for _ in range(5):
                assert store.all_valid_paths() == []

        with ThreadPoolExecutor(len(clients)) as pool:
            list(pool.map(work, clients))
        for store in clients:
            store.close()
        until(lambda: threads() <= before[0])
        # Of the database as many stay open as queries may run at once.
        until(lambda: descriptors() <= before[1] + 2 * readers.MOST)
