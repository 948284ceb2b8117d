"""The store is removed, or its state, below a running daemon: the next request opens it anew, or says so."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.asking import client
from daemon.serving import Running
from fruix.client import RemoteStore
from fruix.daemon.listening import StateLock
from fruix.errors import FruixError, StoreError
from fruix.model.activity import ActiveBuild, State
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.store.layout import Layout
from waiting import until


def all_of_it(layout: Layout) -> None:
    for directory in (layout.store, layout.state, layout.log):
        shutil.rmtree(directory)


def all_with_the_directory_above(layout: Layout) -> None:
    shutil.rmtree(os.path.dirname(layout.store))


def all_and_made_anew(layout: Layout) -> None:
    """As Nix's own tests do between two cases."""
    for directory in (layout.store, layout.state):
        shutil.rmtree(directory)
        os.mkdir(directory)


def moved_away(layout: Layout) -> None:
    for directory in (layout.store, layout.state):
        os.rename(directory, f"{directory}.old")


@pytest.mark.parametrize("remove", [all_of_it, all_with_the_directory_above, all_and_made_anew, moved_away])
def test_the_next_request_opens_what_is_there(
    daemon: Running, user: RemoteStore, remove: Callable[[Layout], None], caplog: pytest.LogCaptureFixture
) -> None:
    layout, identity = daemon.store.layout, daemon.store.database.identity
    path = user.add_text("a", b"a")
    for _ in range(2):
        assert user.is_valid(path)
        remove(layout)
        assert not user.is_valid(path)
        assert user.add_text("a", b"a") == path
        assert Path(str(path)).read_bytes() == b"a"
        if remove is moved_away:
            break
    assert daemon.store.database.identity != identity
    assert daemon.store.verify(contents=True) == []
    assert "the store is opened anew" in caplog.text
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_nothing_is_left_open_of_the_old_store(daemon: Running, user: RemoteStore) -> None:
    def gone() -> list[str]:
        links = []
        for number in os.listdir("/dev/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{number}"))
            except FileNotFoundError:
                continue
        return [link for link in links if daemon.store.directory in link and link.endswith(" (deleted)")]

    for number in range(3):
        user.add_text(f"a{number}", b"a")
        all_of_it(daemon.store.layout)
        assert gone() != []
        assert user.all_valid_paths() == []
        assert gone() == []


def what_is_in_it(layout: Layout) -> None:
    for name in os.listdir(layout.store):
        path = Path(layout.store, name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def only_the_store(layout: Layout) -> None:
    shutil.rmtree(layout.store)


def only_the_state(layout: Layout) -> None:
    shutil.rmtree(layout.state)


def only_the_database(layout: Layout) -> None:
    for suffix in ("", "-wal", "-shm"):
        os.unlink(layout.database + suffix)


@pytest.mark.parametrize(
    ("remove", "words"),
    [
        (what_is_in_it, "the store is empty, but 2 paths are valid: it was emptied, or isn't mounted"),
        (only_the_store, "the store is empty, but 2 paths are valid: it was emptied, or isn't mounted"),
        (only_the_state, "the store belongs to the database"),
        (only_the_database, "the store belongs to the database"),
    ],
)
def test_halves_are_told_of_in_words_until_both_fit(
    daemon: Running, user: RemoteStore, remove: Callable[[Layout], None], words: str
) -> None:
    path = user.add_text("a", b"a")
    user.add_text("another", b"a")
    daemon.store.sync()
    remove(daemon.store.layout)
    for _ in range(2):
        for ask in (
            lambda: user.is_valid(path),
            lambda: user.add_text("b", b"b"),
            lambda: b"".join(user.nar(path)),
        ):
            with pytest.raises(FruixError) as caught:
                ask()
            assert words in str(caught.value)
            assert daemon.store.directory in str(caught.value)
            assert "--accept-store" in caught.value.hint
    all_of_it(daemon.store.layout)
    assert not user.is_valid(path)
    assert user.add_text("a", b"a") == path


def test_while_something_else_is_at_work_it_is_said(daemon: Running, user: RemoteStore) -> None:
    path = user.add_text("a", b"a")
    daemon.builder.wait = True
    builder = client(daemon)
    builder.greet()
    builder.request(9, (DerivedPath(path, None),), BuildMode.NORMAL)
    daemon.builder.started.wait(60)
    all_of_it(daemon.store.layout)
    with pytest.raises(FruixError) as caught:
        user.is_valid(path)
    assert "the store was removed or replaced while it was open" in str(caught.value)
    assert "when what the daemon does now has ended" in caught.value.hint
    builder.stream.close()
    until(lambda: daemon.server.connections == 1, "the end of the other session")
    assert not user.is_valid(path)


def test_builds_whose_client_has_gone_are_waited_for(daemon: Running, user: RemoteStore) -> None:
    path = user.add_text("a", b"a")
    daemon.builder.rows = [ActiveBuild(path, "build", State.RUNNING, 0)]
    all_of_it(daemon.store.layout)
    with pytest.raises(FruixError, match="the store was removed or replaced"):
        user.is_valid(path)
    daemon.builder.rows = []
    assert not user.is_valid(path)


def test_a_request_that_meets_it_is_told_what_happened(
    daemon: Running, user: RemoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = user.add_text("a", b"a")

    def realise(*_asked: object) -> None:
        all_of_it(daemon.store.layout)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), b"1")

    monkeypatch.setattr(daemon.builder, "realise", realise)
    with pytest.raises(FruixError) as caught:
        user.build([DerivedPath(path, None)])
    assert str(caught.value).endswith(": the store was removed or replaced while it was open")
    assert caught.value.hint == "ask again"
    assert not user.is_valid(path)


def test_the_lock_of_the_state_is_taken_again(daemon: Running, user: RemoteStore) -> None:
    state = daemon.store.layout.state
    with StateLock(state) as lock, StateLock(state) as other:
        lock.take("daemon")
        daemon.service.relock = lock.take_again
        all_of_it(daemon.store.layout)
        assert user.all_valid_paths() == []
        with pytest.raises(StoreError, match="another daemon is running"):
            other.take("daemon")
        all_of_it(daemon.store.layout)
        daemon.store.layout.create()
        other.take("daemon")
        with pytest.raises(FruixError, match="another daemon is running"):
            user.all_valid_paths()
        other.release()
        assert user.all_valid_paths() == []
