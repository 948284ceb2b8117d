"""Trees are deleted, whoever made them and whatever happens to them meanwhile."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from fruix.errors import ObjectRejectedError, StoreError
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.walk import walk
from store.helpers import snapshot, write_file


def test_a_tree_of_20000_levels_is_deleted(tmp_path: Path, here: int) -> None:
    os.mkdir("deep", dir_fd=here)
    inner = os.open("deep", os.O_RDONLY, dir_fd=here)
    for _ in range(20_000):
        os.mkdir("d" * 100, dir_fd=inner)
        following = os.open("d" * 100, os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = following
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
    os.close(inner)
    assert sum(1 for _ in walk(here, b"deep")) == 2 * 20_001 + 1
    delete_tree(here, b"deep")
    assert os.listdir(tmp_path) == []


def test_hostile_names_and_modes_are_deleted(tmp_path: Path, here: int) -> None:
    root = os.fsencode(tmp_path / "t")
    for name in [b"a\nb", b"\xff\xfe", b"-rf", b"x" * 255, b"..."]:
        os.makedirs(root + b"/" + name + b"/inner/" + name)
        write_file(os.fsdecode(root + b"/" + name + b"/f"), b"", 0)
        os.chmod(root + b"/" + name + b"/inner", 0)
        os.chmod(root + b"/" + name, 0o111)
    os.mkfifo(root + b"/fifo")
    os.symlink("/etc", root + b"/link")
    os.chmod(root, 0)
    delete_tree(here, b"t")
    assert os.listdir(tmp_path) == []
    assert os.path.isdir("/etc")


@pytest.mark.parametrize("kind", ["file", "link", "nothing"])
def test_deleting_what_is_no_directory(tmp_path: Path, here: int, kind: str) -> None:
    (tmp_path / "canary").mkdir()
    if kind == "file":
        write_file(tmp_path / "x")
    elif kind == "link":
        os.symlink("canary", tmp_path / "x")
    delete_tree(here, b"x")
    assert os.listdir(tmp_path) == ["canary"]


def test_deletion_is_not_led_astray_by_swaps(tmp_path: Path, here: int) -> None:
    """Somebody flips directories and symlinks to a canary while trees are deleted (CVE-2025-46415)."""
    canary = tmp_path / "canary"
    canary.mkdir()
    for number in range(5):
        write_file(canary / str(number), b"mine")
    before = snapshot(canary)
    work = tmp_path / "work"
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for name in "abc":
                try:
                    os.rename(work / name, work / (name + "-away"))
                    os.symlink(canary, work / name)
                    os.unlink(work / name)
                    os.rename(work / (name + "-away"), work / name)
                except OSError:
                    continue

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        for _ in range(300):
            # What fails because of the flipping does not matter; what counts is the canary.
            work.mkdir(exist_ok=True)
            for name in "abc":
                fresh = tmp_path / "fresh" / name
                (fresh / "inner").mkdir(parents=True, exist_ok=True)
                write_file(fresh / "inner" / "g")
                with suppress(OSError):
                    os.rename(fresh, work / name)  # does not write through a link
            with suppress(OSError):
                delete_tree(here, b"work")
    finally:
        stop.set()
        flipper.join()
    delete_tree(here, b"work")
    assert snapshot(canary) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts: needs root")
def test_deletion_does_not_enter_mounts(tmp_path: Path, here: int) -> None:
    import subprocess

    victim, target = tmp_path / "victim", tmp_path / "t" / "a" / "mounted"
    victim.mkdir()
    write_file(victim / "f", b"mine")
    target.mkdir(parents=True)

    def unmount() -> None:
        (mounted,) = tmp_path.rglob("mounted")  # the directories above may have been renamed
        subprocess.run(["umount", mounted], check=True)

    # The same device: only the refused rename shows that something is mounted.
    subprocess.run(["mount", "--bind", victim, target], check=True)
    try:
        with pytest.raises(StoreError, match="mounted"):
            delete_tree(here, b"t")
        assert (victim / "f").read_bytes() == b"mine"
    finally:
        unmount()
    delete_tree(here, b"t")
    target.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", target], check=True)
    try:
        write_file(target / "f", b"mine")
        with pytest.raises(StoreError, match="mounted"):
            delete_tree(here, b"t")
        with pytest.raises(ObjectRejectedError, match="mounted"):
            list(walk(here, b"t"))
        (kept,) = tmp_path.rglob("mounted/f")
        assert kept.read_bytes() == b"mine"
    finally:
        unmount()
    delete_tree(here, b"t")


def test_empty_directories_are_not_moved_first(
    tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename of a directory is dear on UFS, and what a build leaves has many empty ones (mount points)."""
    for name in ("a", "b", "c"):
        (tmp_path / "t" / name).mkdir(parents=True)
    monkeypatch.setattr(os, "rename", lambda *_, **__: pytest.fail("a directory was moved"))
    delete_tree(here, b"t")
    assert os.listdir(tmp_path) == []
