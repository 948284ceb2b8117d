"""Copies of what failed builds left: nobody else's files, no special bits, fresh inodes."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from fruix.errors import ObjectRejectedError
from fruix.store.tree.copy_for_user import Keeper
from machine import OTHER_USERS
from store.helpers import directory_fd, empty

pytestmark = OTHER_USERS

BUILDER, UID, GID = 40001, 1234, 2345


def keep(root: Path, room: int = 1 << 30) -> Keeper:
    keeper = Keeper(BUILDER, UID, GID, room)
    parent, to = directory_fd(root), directory_fd(root / "copy")
    try:
        keeper.copy(parent, b"tree", to)
    finally:
        os.close(parent)
        os.close(to)
    return keeper


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "copy").mkdir()
    (tmp_path / "tree").mkdir()
    return tmp_path


def owned(path: Path, mode: int = 0o644) -> Path:
    os.lchown(path, BUILDER, BUILDER)
    if not path.is_symlink():
        path.chmod(mode)
    return path


def test_files_of_others_are_left_out(root: Path) -> None:
    """As a hard link to one would look, where links across the sandbox's mounts were possible."""
    secret = root / "secret"
    secret.write_text("root's alone")
    secret.chmod(0o600)
    os.link(secret, root / "tree" / "mine")
    before = secret.stat()
    assert keep(root).skipped == 1
    assert os.listdir(root / "copy" / "tree") == []
    after = secret.stat()
    assert (after.st_uid, after.st_mode, after.st_nlink) == (before.st_uid, before.st_mode, before.st_nlink)


def test_no_special_bits_and_no_shared_inodes(root: Path) -> None:
    tree, copy = root / "tree", root / "copy" / "tree"
    (tree / "program").write_text("x")
    owned(tree / "program", 0o6777)
    os.link(tree / "program", tree / "other")
    (tree / "sticky").mkdir()
    owned(tree / "sticky", 0o3777)
    keep(root)
    status = (copy / "program").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o755, UID, GID)
    assert status.st_nlink == 1
    assert not (copy / "other").samefile(copy / "program")
    assert not (copy / "program").samefile(tree / "program")
    assert stat.S_IMODE((copy / "sticky").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "program").stat().st_mode) == 0o6777, "what is there stays as it is"


def test_links_are_copied_and_never_followed(root: Path) -> None:
    (root / "tree" / "link").symlink_to("/etc/shadow")
    (root / "tree" / "out").symlink_to("../../..")
    keep(root)
    copy = root / "copy" / "tree"
    assert os.readlink(copy / "link") == "/etc/shadow"
    assert (copy / "link").lstat().st_uid == UID
    assert os.stat("/etc/shadow").st_uid == 0


def test_special_files_are_counted(root: Path) -> None:
    os.mkfifo(root / "tree" / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "tree" / "socket"))
        assert keep(root).skipped == 2
    assert os.listdir(root / "copy" / "tree") == []


def test_directories_without_rights_are_no_hindrance(root: Path) -> None:
    shut = root / "tree" / "shut"
    shut.mkdir()
    (shut / "file").write_text("x")
    owned(shut / "file", 0)
    owned(shut, 0)
    keep(root)
    copy = root / "copy" / "tree" / "shut"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700, "its owner can look into it and delete it"
    assert (copy / "file").read_text() == "x"


def test_there_must_be_room(root: Path) -> None:
    (root / "tree" / "sparse").touch()
    os.truncate(root / "tree" / "sparse", 1 << 40)
    owned(root / "tree" / "sparse")
    with pytest.raises(ObjectRejectedError, match="not enough room"):
        keep(root)


def test_depth_is_no_reason_to_leave_anything_out(root: Path) -> None:
    here = os.open(root / "tree", os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    kept = keep(root)
    assert (kept.skipped, kept.nodes) == (0, 1001)
    empty(root)
