"""Clients of Guix find a directory for their user's profiles."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from daemon.asking import client
from daemon.serving import layout, running
from fruix.daemon.user_profiles import make_profile_directory
from fruix.protocol.wire import Dialect

ME = pwd.getpwuid(os.getuid()).pw_name


def test_a_client_of_guix_has_it_once_it_is_connected(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        directory = Path(daemon.store.layout.profiles, "per-user", ME)
        client(daemon).greet()
        assert not directory.exists()
        client(daemon, Dialect.GUIX, 0x64).greet()
        status = directory.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o755, os.getuid())
        (directory / "profile-1-link").symlink_to("/nowhere")
        client(daemon, Dialect.GUIX, 0x64).greet()
        assert os.listdir(directory) == ["profile-1-link"]


@pytest.fixture
def per_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Any number has a name here."""
    layout(tmp_path).create()
    names = dict(enumerate(["x/y", "..", "", "somebody"], 4000))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: pwd.struct_passwd((names[uid], *[""] * 6)))
    return Path(layout(tmp_path).profiles, "per-user")


@pytest.mark.parametrize("uid", [4000, 4001, 4002, 5000])
def test_names_that_no_directory_can_have(per_user: Path, tmp_path: Path, uid: int) -> None:
    make_profile_directory(layout(tmp_path), uid, uid)
    assert os.listdir(per_user) == []


def test_what_a_crash_left_is_taken_up_and_a_link_is_left_alone(
    per_user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (per_user / ".somebody").mkdir()
    owners: list[int] = []
    monkeypatch.setattr(os, "chown", lambda _name, uid, _gid, **_more: owners.append(uid))
    make_profile_directory(layout(tmp_path), 4003, 4003)
    assert owners == [4003]
    assert os.listdir(per_user) == ["somebody"]
    (per_user / "somebody").rmdir()
    (per_user / "somebody").symlink_to(tmp_path)
    make_profile_directory(layout(tmp_path), 4003, 4003)
    assert (per_user / "somebody").is_symlink()
    assert tmp_path.stat().st_uid == os.getuid()
