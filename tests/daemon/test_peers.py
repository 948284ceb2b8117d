from __future__ import annotations

import grp
import os
import pwd
import socket
from typing import NoReturn

import pytest

from fruix.daemon.peers import Access, Peer, credentials, matches
from fruix.errors import NotPermittedError

NOBODY = Peer(65534, 65534)
NAMELESS = Peer(54321, 54321)


def test_credentials_are_the_kernels() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert credentials(ours) == Peer(os.geteuid(), os.getegid(), os.getpid())


@pytest.mark.parametrize(
    ("peer", "entries", "expected"),
    [
        (NOBODY, ["nobody"], True),
        (NOBODY, ["65534"], True),
        (NOBODY, ["root"], False),
        (NOBODY, ["no-such-user", "@no-such-group"], False),
        (NOBODY, [f"@{grp.getgrgid(65534).gr_name}"], True),
        (NOBODY, ["@root"], False),
        (NAMELESS, ["*"], True),
        (NAMELESS, ["54321"], True),
        (NAMELESS, ["54322", "nobody", "@root"], False),
        (NAMELESS, [], False),
    ],
)
def test_lists(peer: Peer, entries: list[str], expected: bool) -> None:
    assert matches(peer, entries) is expected


def test_admission() -> None:
    access = Access(["nobody"], ["54321"], range(35001, 35033))
    assert access.admit(NOBODY) is False
    assert access.admit(NAMELESS) is True
    assert access.admit(Peer(0, 0)) is True
    with pytest.raises(NotPermittedError, match="user '54322' is not allowed") as caught:
        access.admit(Peer(54322, 1))
    assert "allowed-users" in caught.value.hint


def test_build_users_are_refused_whatever_the_lists_say() -> None:
    access = Access(["*"], ["*", "35001"], range(35001, 35033))
    with pytest.raises(NotPermittedError, match="build user"):
        access.admit(Peer(35001, 35001))


def test_a_failing_look_up_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> NoReturn:
        raise OSError("name service down")

    monkeypatch.setattr(pwd, "getpwnam", fail)
    with pytest.raises(NotPermittedError, match="can't find out who"):
        Access(["someone", "*"], [], ()).admit(NOBODY)


def test_names() -> None:
    assert Peer(0, 0).name == "root"
    assert NAMELESS.name == "54321"
