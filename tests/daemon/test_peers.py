from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from typing import NoReturn

import pytest

from fruix.cli.commands import nix_daemon
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


def test_the_own_user_is_trusted_unless_it_is_said_otherwise() -> None:
    """In a user namespace, where everybody is the same number."""
    assert Access([], [], (), trusts_own_user=False).admit(Peer(0, 0)) is False
    assert Access([], [], ()).admit(Peer(0, 0)) is True


@pytest.mark.parametrize(("users", "expected"), [(["root"], False), (["nobody"], True), (["*"], True)])
def test_nix_daemon_of_an_ordinary_user(
    users: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trusts that user if 'trusted-users' says so, as nix-daemon does."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert nix_daemon.trusts(users) is expected


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


class FreeBSDSocket:
    """Answers LOCAL_PEERCRED with given bytes."""

    family = socket.AF_UNIX

    def __init__(self, data: bytes) -> None:
        self.data = data

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (0, 1, 88)
        return self.data


def xucred(version: int, uid: int, groups: list[int], pid: int) -> bytes:
    """As the kernel lays it out on a 64-bit machine: the process id at 80, in a union with a pointer."""
    head = struct.pack("=IIhxx16I", version, uid, len(groups), *(groups + [0] * 16)[:16])
    return head.ljust(80, b"\0") + struct.pack("=ii", pid, 0)


def test_credentials_on_freebsd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "freebsd13")
    known = FreeBSDSocket(xucred(0, 1001, [1002, 5], 4711))
    assert credentials(known) == Peer(1001, 1002, 4711)  # type: ignore[arg-type]
    for data in (xucred(1, 1001, [1002], 1), xucred(0, 0, [], 1), xucred(0, 0, [0], 1)[:80]):
        with pytest.raises(OSError, match="credentials of"):
            credentials(FreeBSDSocket(data))  # type: ignore[arg-type]
