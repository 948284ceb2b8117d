"""Verification as clients of both worlds, and Fruix's own, see it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.asking import Client, client
from daemon.serving import Running, running
from daemon.test_collecting import lines, text
from fruix.daemon.handlers.table import HANDLERS
from fruix.daemon.peers import Peer
from fruix.daemon.session import Session
from fruix.errors import NotPermittedError
from fruix.model.buildresult import BuildMode
from fruix.model.finding import FindingKind
from fruix.protocol.common_operations import VerifyStore
from fruix.protocol.options import ClientOptions
from fruix.protocol.own_operations import CheckStore
from fruix.protocol.wire import Dialect

VERIFY, SET_OPTIONS = 35, 19
DIALECTS = {"nix": (Dialect.NIX, 38, "'"), "guix": (Dialect.GUIX, 0x64, "`")}
EXISTENCE = {
    "nix": ["reading the Nix store...", "checking path existence..."],
    "guix": ["reading the store...", "checking path existence..."],
}
HASHES = {"nix": ["checking link hashes...", "checking store hashes..."], "guix": ["checking hashes..."]}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture(params=["nix", "guix"])
def world(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def user(daemon: Running, world: str) -> Client:
    dialect, minor, _ = DIALECTS[world]
    found = client(daemon, dialect, minor)
    found.greet()
    return found


def test_a_whole_store(user: Client, daemon: Running, world: str) -> None:
    text(daemon, "a")
    said, is_bad = user.call(VERIFY, True, False)
    assert (lines(said), is_bad) == ([*EXISTENCE[world], *HASHES[world]], False)


def test_what_has_gone_is_forgotten_as_the_peers_do(user: Client, daemon: Running, world: str) -> None:
    quote = DIALECTS[world][2]
    a = text(daemon, "a")
    b = text(daemon, "b", a)
    alone = text(daemon, "alone")
    for path in (a, alone):
        os.unlink(daemon.store.real(path))
    said, is_bad = user.call(VERIFY, False, False)
    assert set(lines(said)[len(EXISTENCE[world]) :]) == {
        f"path {quote}{alone}' disappeared, removing from database...",
        f"path {quote}{a}' disappeared, but it still has valid referrers!",
    }
    assert is_bad
    assert daemon.store.all_valid_paths() == sorted([a, b])
    os.unlink(daemon.store.real(b))
    _, is_bad = user.call(VERIFY, False, False)
    assert not is_bad
    assert daemon.store.all_valid_paths() == []


def test_a_modified_path(user: Client, daemon: Running, world: str) -> None:
    quote = DIALECTS[world][2]
    path = text(daemon, "a")
    os.chmod(daemon.store.real(path), 0o755)
    assert user.call(VERIFY, False, False)[1] is False
    said, is_bad = user.call(VERIFY, True, False)
    (problem,) = [line for line in lines(said) if "path" in line and "checking" not in line]
    assert problem.startswith(f"path {quote}{path}' was modified! expected hash {quote}")
    assert is_bad


def test_fruix_clients_get_findings_and_nothing_is_changed(daemon: Running) -> None:
    path = text(daemon, "a")
    os.unlink(daemon.store.real(path))
    Path(daemon.store.directory, "README").write_text("x")
    with daemon.connect() as store:
        found = [(one.kind, one.subject) for one in store.verify(contents=True)]
    assert found == [
        (FindingKind.MISSING, str(path)),
        (FindingKind.FOREIGN, f"{daemon.store.directory}/README"),
    ]
    assert daemon.store.is_valid(path)


def test_metadata_is_mended_in_place_and_what_is_left_is_told(daemon: Running) -> None:
    mode, gone = text(daemon, "mode"), text(daemon, "gone")
    os.chmod(daemon.store.real(mode), 0o644)
    os.unlink(daemon.store.real(gone))
    with daemon.connect() as store:
        left = store.verify(contents=True, repair=True)
    assert [(one.kind, one.subject) for one in left] == [(FindingKind.MISSING, str(gone))]
    assert os.stat(daemon.store.real(mode)).st_mode & 0o777 == 0o444
    (options,) = daemon.builder.seen
    assert (options.mode, options.keep_going) == (BuildMode.REPAIR, True)


@pytest.mark.parametrize("ask", [VerifyStore, CheckStore])
def test_repairing_is_for_trusted_users(daemon: Running, ask: type[VerifyStore | CheckStore]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        session = Session(theirs, Peer(5, 5, 5), daemon.server._service, trusted=False)
        with pytest.raises(NotPermittedError, match="you are not privileged to repair paths"):
            HANDLERS[Dialect.NIX][ask](session, ask(contents=False, repair=True))


def test_a_quiet_client_hears_only_of_problems(user: Client, daemon: Running) -> None:
    path = text(daemon, "a")
    os.chmod(daemon.store.real(path), 0o755)
    user.call(SET_OPTIONS, ClientOptions(verbosity=0))
    said, is_bad = user.call(VERIFY, True, False)
    assert is_bad
    assert any("was modified!" in line for line in lines(said))
