"""Operations on garbage, as clients of both worlds see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.asking import Client, client, some
from daemon.serving import Running, running
from fruix.daemon.peers import Admission
from fruix.errors import InvalidPathError, NotPermittedError, PathAliveError, ProtocolError
from fruix.model.events import Collecting, Event
from fruix.model.garbage import Collected, Goal, LiveStep, Root, WhyLive
from fruix.model.storepath import StorePath
from fruix.protocol.messages import Failure, Message, Next
from fruix.protocol.nix import AddPermRoot
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect

NO_LIMIT = (1 << 64) - 1
LIVE, DEAD, DELETE_DEAD, DELETE_THESE = range(4)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture(params=[(Dialect.NIX, 38), (Dialect.GUIX, 0x64)], ids=["nix", "guix"])
def user(daemon: Running, request: pytest.FixtureRequest) -> Client:
    found = client(daemon, *request.param)
    found.greet()
    return found


def text(daemon: Running, name: str, *references: StorePath) -> StorePath:
    with daemon.store.temp_roots.session():
        return daemon.store.add_text(name, name.encode(), references)


def root(daemon: Running, path: StorePath) -> str:
    link = f"{daemon.store.layout.gcroots}/{path.name}"
    os.symlink(str(path), link)
    return link


def lines(said: list[Message]) -> list[str]:
    return [message.text.removesuffix("\n") for message in said if isinstance(message, Next)]


def collect(user: Client, action: int, *paths: StorePath, most: int = NO_LIMIT) -> tuple[list[Message], Any]:
    return user.call(20, action, paths, False, most)


def test_what_is_alive_and_what_is_dead(daemon: Running, user: Client) -> None:
    a, b = text(daemon, "a"), text(daemon, "b")
    root(daemon, a)
    said, reply = collect(user, LIVE)
    assert reply.paths == (str(a),)
    said, reply = collect(user, DEAD)
    assert (reply.paths, reply.freed) == ((str(b),), 0)
    assert daemon.store.is_valid(b)
    assert all(isinstance(message, Next) for message in said[:-1])


def test_messages_are_those_of_the_peers(daemon: Running) -> None:
    nix, guix = client(daemon), client(daemon, Dialect.GUIX, 0x64)
    nix.greet(), guix.greet()
    a, b = text(daemon, "abcdef"), text(daemon, "b")
    os.symlink("/not/there", f"{daemon.store.layout.gcroots}/auto/x")
    links = "deleting unused links..."
    said, reply = collect(nix, DELETE_THESE, a)
    stale = f'removing stale link from "{daemon.store.layout.gcroots}/auto/x" to "/not/there"'
    assert lines(said) == ["finding garbage collector roots...", stale, f"deleting '{a}'", links]
    assert (reply.paths, reply.freed) == ((str(a),), 6)
    said, reply = collect(guix, DELETE_DEAD)
    assert lines(said)[:2] == ["finding garbage collector roots...", "deleting garbage..."]
    assert lines(said)[2].endswith(f"] deleting '{b}'")
    assert lines(said)[3:] == [links, "note: currently hard linking saves    0  bytes"]
    assert (reply.paths, reply.freed) == ((str(b),), 1)


def test_nothing_more_than_the_goal(daemon: Running, user: Client) -> None:
    paths = {str(text(daemon, name)) for name in ("one", "two")}
    _, reply = collect(user, DELETE_DEAD, most=0)
    assert reply.paths == ()
    _, reply = collect(user, DELETE_DEAD, most=1)
    assert len(reply.paths) == 1
    assert set(reply.paths) < paths
    assert reply.freed == 3


def test_what_is_alive_is_not_deleted(daemon: Running) -> None:
    path = text(daemon, "a")
    referrer = text(daemon, "b", path)
    root(daemon, referrer)
    texts = {
        Dialect.NIX: f"Cannot delete path '{path}' since it is still alive. To find out why, use: "
        "nix-store --query --roots and nix-store --query --referrers",
        Dialect.GUIX: f"cannot delete path `{path}' since it is still alive",
    }
    for dialect, minor in ((Dialect.NIX, 38), (Dialect.GUIX, 0x64)):
        asking = client(daemon, dialect, minor)
        asking.greet()
        said, _ = collect(asking, DELETE_THESE, path)
        assert isinstance(said[-1], Failure)
        assert said[-1].message == texts[dialect]
        assert asking.call(1, path)[1] is True


def test_referrers_of_what_is_deleted(daemon: Running) -> None:
    """Guix deletes what refers to it as well, Nix nothing that was not named."""
    path = text(daemon, "a")
    referrer = text(daemon, "b", path)
    nix, guix = client(daemon), client(daemon, Dialect.GUIX, 0x64)
    nix.greet(), guix.greet()
    said, _ = collect(nix, DELETE_THESE, path)
    assert isinstance(said[-1], Failure)
    _, reply = collect(guix, DELETE_THESE, path)
    assert reply.paths == (str(referrer), str(path))


def test_liveness_is_never_ignored(daemon: Running, user: Client) -> None:
    said, _ = user.call(20, DELETE_THESE, (some(daemon),), True, NO_LIMIT)
    assert isinstance(said[-1], Failure)
    assert said[-1].message == "you are not allowed to ignore liveness"
    said, _ = user.call(20, 7, (), False, NO_LIMIT)
    assert isinstance(said[-1], Failure)


def test_what_a_session_was_told_of_is_never_deleted(daemon: Running, user: Client) -> None:
    path = text(daemon, "a")
    other = client(daemon)
    other.greet()
    other.call(11, path)
    _, reply = collect(user, DELETE_DEAD)
    assert reply.paths == ()
    own = text(daemon, "own")
    user.call(11, own)
    _, reply = collect(user, DELETE_DEAD)
    assert reply.paths == ()
    assert other.call(1, path)[1] is True


def test_roots(daemon: Running, user: Client) -> None:
    path, temporary = text(daemon, "a"), text(daemon, "b")
    link = root(daemon, path)
    user.call(11, temporary)
    _, found = user.call(14)
    expected = [Root(link, path)]
    if user.context.dialect is Dialect.NIX:  # Guix's daemon lists links only
        expected.append(Root(f"{{temp:{os.getpid()}}}", temporary))
    assert sorted(found, key=lambda root: root.link) == expected


def test_a_permanent_root(daemon: Running, tmp_path: Path) -> None:
    path = text(daemon, "a")
    asking = client(daemon)
    asking.greet()
    link = f"{os.path.realpath(tmp_path)}/result"
    assert asking.call(47, path, link)[1] == link
    assert os.readlink(link) == str(path)
    another = client(daemon, Dialect.GUIX, 0x64)
    another.greet()
    assert another.call(14)[1] == (Root(link, path),)
    for bad, why in (
        (str(path), "in the Nix store is forbidden"),
        (daemon.store.layout.log, "already exists"),
        ("result", "not an absolute file name"),
    ):
        said, _ = asking.call(47, path, bad)
        assert isinstance(said[-1], Failure)
        assert why in said[-1].message


def test_what_keeps_is_a_trusted_clients_wish(daemon: Running) -> None:
    asking = client(daemon)
    asking.greet()
    said, _ = asking.call(19, ClientOptions(overrides={"keep-outputs": "perhaps"}))
    assert isinstance(said[-1], Failure)
    assert "keep-outputs" in said[-1].message
    said, _ = asking.call(19, ClientOptions(verbosity=3, overrides={"keep-outputs": "true"}))
    assert lines(said) == []


def test_own_clients_hear_how_far_it_has_come(daemon: Running) -> None:
    paths = sorted(str(text(daemon, name)) for name in ("a", "bb"))
    kept = text(daemon, "kept")
    root(daemon, kept)
    events: list[Event] = []
    with daemon.connect() as store:
        assert store.collect(Goal(dry_run=True)).deleted == 2
        assert store.garbage(alive=False) == paths
        assert store.garbage(alive=True) == [str(kept)]
        found = store.collect(Goal(), events.append)
    assert (found.live, found.deleted, found.freed) == (1, 2, 3)
    collecting = [event for event in events if isinstance(event, Collecting)]
    assert [event.stage for event in collecting] == ["roots", "marked", "deleting", "links"]
    assert (collecting[1].live, collecting[1].total) == (1, 3)
    assert sorted(collecting[2].paths) == paths
    assert (collecting[3].deleted, collecting[3].freed) == (2, 3)


def test_daemons_of_other_kinds_collect_without_telling_how_far_it_has_come(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("contents", "garbage"):
        monkeypatch.setattr(f"fruix.client.{module}.FEATURE", "something else")
    root(daemon, text(daemon, "kept"))
    dead = text(daemon, "dead")
    with daemon.connect() as store:
        assert store.collect(Goal(max_freed=0)).deleted == 0
        found = store.collect(Goal())
        assert (found.live, found.deleted) == (1, 1)
        assert not daemon.store.is_valid(dead)
        info = daemon.store.path_info(text(daemon, "dead"))
        assert info is not None
        events: list[Event] = []
        assert store.collect(Goal(dry_run=True), events.append) == Collected(1, 1, info.nar_size)
        assert events == [Collecting("deleting", 1, 0, 1, info.nar_size, (str(dead),))]
        assert daemon.store.is_valid(dead)
        for goal in (Goal(min_free=1), Goal(older_than=1), Goal(max_freed=1, dry_run=True)):
            with pytest.raises(ProtocolError, match="knows no such goal"):
                store.collect(goal)


def test_why_a_path_is_alive(daemon: Running) -> None:
    a = text(daemon, "a")
    b = text(daemon, "b", a)
    link = root(daemon, b)
    dead = text(daemon, "dead")
    with daemon.connect() as store:
        found = store.why_live(a)
        assert found == WhyLive(link, (LiveStep(b, "root"), LiveStep(a, "reference")))
        assert store.why_live(dead) == WhyLive()
        with pytest.raises(InvalidPathError):
            store.why_live(some(daemon))
        store.add_temp_root(dead)
        assert store.why_live(dead).root == f"{{temp:{os.getpid()}}}"
        assert [root.link for root in store.roots()] == [link, f"{{temp:{os.getpid()}}}"]


def test_own_clients_get_the_reason_as_an_error_of_its_class(daemon: Running) -> None:
    a = text(daemon, "a")
    b = text(daemon, "b", a)
    with daemon.connect() as store:
        with pytest.raises(PathAliveError) as caught:
            store.delete([a])
        assert (caught.value.path, caught.value.referrer) == (str(a), str(b))
        assert store.delete([a, b]).paths == (str(b), str(a))


def test_others_are_told_neither_of_processes_nor_may_they_remove_roots(
    daemon: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Admission, "admit", lambda _self, _peer: False)
    path = text(daemon, "a")
    with daemon.connect() as store:
        store.add_temp_root(path)
        assert [root.link for root in store.roots()] == ["{censored}"]
        assert store.why_live(path).root == "{censored}"
        with pytest.raises(NotPermittedError, match="old roots"):
            store.collect(Goal(older_than=1))
        assert store.collect(Goal()).deleted == 0  # as with the peers, anybody may
        with pytest.raises(NotPermittedError, match="you are not privileged to create perm roots"):
            store._call(AddPermRoot(path, f"{tmp_path}/result"))
