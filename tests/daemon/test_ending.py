"""Clients of a daemon that ends or that has reached a limit are told so."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.serving import Running, running
from fruix.daemon import ending, main
from fruix.daemon.server import Server
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from waiting import until


def a_drv(daemon: Running) -> StorePath:
    return StorePath.of(daemon.store.directory, "0" * 32 + "-a.drv")


def building(daemon: Running, told: list[FruixError]) -> threading.Thread:
    """A client that waits for a build in a thread of its own; what it is told is put into `told`."""

    def wait() -> None:
        with daemon.connect() as client:
            try:
                client.build([DerivedPath(a_drv(daemon), ALL)], BuildOptions(), lambda _event: None)
            except FruixError as error:
                told.append(error)

    daemon.builder.wait = True
    thread = threading.Thread(target=wait)
    thread.start()
    assert daemon.builder.started.wait(60)
    return thread


def test_who_builds_is_told_of_the_end(tmp_path: Path) -> None:
    told: list[FruixError] = []
    with running(tmp_path) as daemon:
        thread = building(daemon, told)
        daemon.server.stop()
        thread.join()
    assert [error.message for error in told] == ["the daemon is shutting down"]
    assert "ask again" in told[0].hint


def test_without_the_spawner_it_ends(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        reading, writing = os.pipe()
        with open(reading, "rb") as spawner, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{tmp_path}/other")
            listener.listen()
            server = Server(daemon.server._service, [listener], spawner.fileno())
            ended: list[bool] = []
            thread = threading.Thread(target=lambda: ended.append(server.run()))
            thread.start()
            os.close(writing)  # the spawner dies
            thread.join()
            assert ended == [False]


def test_a_client_that_gets_no_thread_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("client-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with running(tmp_path) as daemon:
        with daemon.connect() as first:
            monkeypatch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(FruixError, match="can't serve another client now") as caught:
                daemon.connect()
            assert "raise the limits" in caught.value.hint
            assert first.all_valid_paths() == []
        monkeypatch.undo()
        with daemon.connect() as again:
            assert again.all_valid_paths() == []


@pytest.mark.parametrize(
    ("limits", "after"),
    [
        ((1024, 524288), (65536, 524288)),
        ((1024, 4096), (4096, 4096)),
        ((1024, resource.RLIM_INFINITY), (65536, resource.RLIM_INFINITY)),
        ((100000, 524288), None),  # never lowered
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_the_limit_on_open_files_is_raised(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], after: tuple[int, int] | None
) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _which, wanted: seen.append(wanted))
    main._allow_many_files()
    assert seen == ([after] if after else [])


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends in time because a moment has passed."""
    monkeypatch.setattr(ending, "FAREWELL", 3600.0)


@pytest.mark.usefixtures("patient")
def test_a_draining_daemon_serves_until_the_last_client_has_left(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.connect() as early:
        daemon.server.drain()
        with daemon.connect() as late:
            daemon.builder.drained.set()
            assert late.all_valid_paths() == early.all_valid_paths() == []
        assert early.all_valid_paths() == []
        early.close()
        until(lambda: not daemon.thread.is_alive(), "the end of the server")


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("drained", [False, True], ids=["builds run", "clients are there"])
def test_a_second_wish_ends_it_at_once(tmp_path: Path, drained: bool) -> None:
    told: list[FruixError] = []
    with running(tmp_path) as daemon:
        thread = building(daemon, told)
        daemon.server.drain()
        if drained:
            daemon.builder.drained.set()
        daemon.server.drain()
        thread.join()
        daemon.thread.join()
    assert [error.message for error in told] == ["the daemon is shutting down"]


def test_a_client_that_does_not_leave_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "FAREWELL", 0.0)
    with running(tmp_path) as daemon, daemon.connect():
        daemon.builder.drained.set()
        daemon.server.drain()
        until(lambda: not daemon.thread.is_alive(), "the end of the server")


# Another thread gets the signal, so the main thread's wait isn't interrupted: as if it had come just
# before the wait.
UNINTERRUPTED = """
import os, select, signal, threading
from fruix.daemon.ending import Ending
ending = Ending(lambda: None)
ending.hear_signals()
signal.signal(signal.SIGTERM, lambda *_: ending.now())
poller = select.poll()
poller.register(ending.fileno(), select.POLLIN)
threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
assert poller.poll(600_000), "nobody heard it"
while not ending.hear(lambda: 0):
    poller.poll()
ending.close()
assert signal.set_wakeup_fd(-1) == -1  # no descriptor that somebody else may get
print("heard")
"""


def test_a_signal_that_interrupts_no_wait_is_heard() -> None:
    done = subprocess.run([sys.executable, "-c", UNINTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
