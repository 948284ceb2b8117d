"""Equal files become one: on request, where a client sets it, and where the daemon is set to do so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.asking import Client, client
from daemon.serving import Running, running
from fruix.daemon import client_options
from fruix.daemon.settings import Settings
from fruix.errors import UsageError
from fruix.model.events import Event, Message
from fruix.model.storepath import StorePath
from fruix.protocol.activities import ActivityType, ResultType
from fruix.protocol.messages import Last, Next, Result, StartActivity, StopActivity
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect
from fruix.store.deduplication.rules import LARGE

BIG = os.urandom(10_000)
OPTIMISE, ADD_TEXT, SET_OPTIONS = 34, 8, 19


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, Settings(deduplication_clones=False)) as found:
        yield found


def inodes(daemon: Running, *paths: StorePath) -> set[int]:
    return {os.stat(daemon.store.real(path)).st_ino for path in paths}


def add(daemon: Running, *names: str, data: bytes = BIG) -> list[StorePath]:
    return [daemon.store.add_text(name, data) for name in names]


def greeted(daemon: Running, dialect: Dialect) -> Client:
    user = client(daemon, dialect, 38 if dialect is Dialect.NIX else 0x64)
    user.greet()
    return user


def test_own_clients_are_told_what_it_saved(daemon: Running) -> None:
    paths = [*add(daemon, "a", "b"), *add(daemon, "c", "d", data=b"small")]
    events: list[Event] = []
    daemon.connect().optimise(events.append)
    assert len(inodes(daemon, *paths)) == 2
    blocks = os.stat(daemon.store.real(paths[0])).st_blocks + os.stat(daemon.store.real(paths[2])).st_blocks
    assert events == [Message(3, f"{blocks * 512 / 2**20:.2f} MiB freed by sharing the data of 2 files")]


def test_clients_of_nix_are_told_as_nix_does(daemon: Running) -> None:
    paths = [*add(daemon, "a", "b"), *add(daemon, "c", "d", data=b"small")]
    said, _ = greeted(daemon, Dialect.NIX).call(OPTIMISE)
    assert len(inodes(daemon, *paths)) == 2
    begin, *progress, end, text, last = said
    assert isinstance(begin, StartActivity)
    assert begin.type == ActivityType.OPTIMISE_STORE
    assert progress == [Result(begin.id, ResultType.PROGRESS, (done, 4, 0, 0)) for done in (1, 2, 3, 4)]
    assert end == StopActivity(begin.id)
    assert isinstance(text, Next)
    assert text.text.endswith(" MiB freed by hard-linking 2 files\n")
    assert last == Last()


def test_clients_of_guix_have_small_files_left_alone(daemon: Running) -> None:
    paths = [*add(daemon, "a", "b"), *add(daemon, "c", "d", data=b"small")]
    user = greeted(daemon, Dialect.GUIX)
    user.call(SET_OPTIONS, ClientOptions(verbosity=1))
    said, _ = user.call(OPTIMISE)
    assert len(inodes(daemon, *paths)) == 3
    assert isinstance(said[0], Next)
    assert said[0].text.endswith(" freed by hard-linking 1 files\n")


def test_what_a_client_of_nix_registers_under_its_option(daemon: Running) -> None:
    """Before the answer; and nothing that was there before."""
    earlier = add(daemon, "earlier", "earlier-2", data=b"small")
    user = greeted(daemon, Dialect.NIX)
    user.call(SET_OPTIONS, ClientOptions(overrides={"auto-optimise-store": "true"}))
    _, one = user.call(ADD_TEXT, "one", b"small", ())
    _, other = user.call(ADD_TEXT, "other", b"small", ())
    assert len(inodes(daemon, one, other)) == 1
    assert os.stat(daemon.store.real(one)).st_nlink == 3
    assert len(inodes(daemon, *earlier, one)) == 3
    user.call(SET_OPTIONS, ClientOptions(overrides={"auto-optimise-store": "false"}))
    _, third = user.call(ADD_TEXT, "third", b"small", ())
    assert len(inodes(daemon, one, third)) == 2


def test_it_is_for_trusted_users() -> None:
    said = ClientOptions(overrides={"auto-optimise-store": "true"})
    assert not list(client_options.warnings(said, trusted=True))
    (told,) = client_options.warnings(said, trusted=False)
    assert "restricted setting" in told.text
    with pytest.raises(UsageError, match="auto-optimise-store"):
        client_options.check(ClientOptions(overrides={"auto-optimise-store": "perhaps"}))


def test_clients_of_guix_see_what_the_daemon_is_set_to_do(tmp_path: Path) -> None:
    """Their tests look at link counts right after the answer."""
    with running(tmp_path, deduplication=LARGE) as daemon:
        user = greeted(daemon, Dialect.GUIX)
        for number in range(10):
            paths = [user.call(ADD_TEXT, f"{name}-{number}", BIG, ())[1] for name in ("one", "other")]
            assert len(inodes(daemon, *paths)) == 1
