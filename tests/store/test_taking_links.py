"""Outputs that have links to elsewhere, or descriptors held elsewhere.

Nobody outside can change what was taken (B1 to B6 of the threats).
"""

from __future__ import annotations

import os

import pytest

from fruix.errors import ObjectRejectedError
from fruix.model.hashes import Hash
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from machine import SEVERAL_IDS
from store.helpers import (
    BUILD_UID,
    archive,
    file_archive,
    give,
    some_path,
    take,
    write_file,
)

pytestmark = SEVERAL_IDS


def test_a_link_kept_outside_can_not_change_the_store(store: LocalStore, area: str) -> None:
    os.mkdir(f"{area}/x")
    write_file(f"{area}/x/f", b"good", 0o755)
    os.link(f"{area}/x/f", f"{area}/kept")
    give(area)
    with open(f"{area}/kept", "r+b") as kept:
        info = take(store, f"{area}/x")
        kept.write(b"evil")
    assert os.stat(f"{area}/kept").st_uid == BUILD_UID  # not ours: nothing was done to it
    with open(f"{store.real(info.path)}/f", "rb") as file:
        assert file.read() == b"good"
    status = os.stat(f"{store.real(info.path)}/f")
    assert (status.st_nlink, status.st_uid, status.st_mode & 0o7777, status.st_mtime) == (1, 0, 0o555, 1)
    assert os.stat(store.real(info.path)).st_mtime == 1
    assert info.nar_hash == Hash.of("sha256", archive(store, info.path))


def test_links_inside_and_outside(store: LocalStore, area: str) -> None:
    """Replacing the first name lowers the count of links.

    The second must be replaced all the same.
    """
    os.mkdir(f"{area}/x")
    write_file(f"{area}/x/a", b"good")
    os.link(f"{area}/x/a", f"{area}/x/b")
    os.link(f"{area}/x/a", f"{area}/kept")
    give(area)
    with open(f"{area}/kept", "r+b") as kept:
        info = take(store, f"{area}/x")
        kept.write(b"evil")
    for name in "ab":
        with open(f"{store.real(info.path)}/{name}", "rb") as file:
            assert file.read() == b"good"
    assert os.stat(f"{area}/kept").st_nlink == 1


def test_links_to_an_output_that_was_rejected(store: LocalStore, area: str) -> None:
    for name in "xy":
        os.mkdir(f"{area}/{name}")
    write_file(f"{area}/x/f", b"good")
    os.link(f"{area}/x/f", f"{area}/y/f")
    os.link(f"{area}/x/f", f"{area}/kept")
    os.mkfifo(f"{area}/x/a")
    give(area)
    links = store.count_links([f"{area}/y", f"{area}/x"])
    with pytest.raises(ObjectRejectedError):
        take(store, f"{area}/x", links=links)
    info = take(store, f"{area}/y", links=links)
    with open(f"{area}/kept", "wb") as kept:
        kept.write(b"evil")
    with open(f"{store.real(info.path)}/f", "rb") as file:
        assert file.read() == b"good"


def test_links_inside_an_output_stay(store: LocalStore, area: str) -> None:
    os.mkdir(f"{area}/x")
    write_file(f"{area}/x/a", b"same", 0o755)
    os.link(f"{area}/x/a", f"{area}/x/b")
    give(area)
    info = take(store, f"{area}/x")
    a, b = (os.stat(f"{store.real(info.path)}/{name}") for name in "ab")
    assert a.st_ino == b.st_ino
    assert (a.st_uid, a.st_mode & 0o7777, a.st_nlink) == (0, 0o555, 2)


@pytest.mark.parametrize("counted", [True, False])
def test_links_between_outputs(store: LocalStore, area: str, counted: bool) -> None:
    """Counted together the shared inode is taken; otherwise each output gets a file of its own."""
    for name in "xy":
        os.mkdir(f"{area}/{name}")
    write_file(f"{area}/x/f", b"shared")
    os.link(f"{area}/x/f", f"{area}/y/f")
    give(area)
    links = store.count_links([f"{area}/x", f"{area}/y", f"{area}/missing"]) if counted else None
    infos = []
    for name in "xy":
        path = some_path(name, store.directory)
        with store.lock_paths([path]):
            infos.append(
                store.stage_output(f"{area}/{name}", path, OutputPolicy(BUILD_UID, (), links=links)).publish()
            )
    x, y = (os.stat(f"{store.real(info.path)}/f") for info in infos)
    assert (x.st_ino == y.st_ino) == counted
    assert x.st_uid == y.st_uid == 0
    assert infos[0].nar_hash == infos[1].nar_hash


def test_smuggled_descriptors_see_nothing_of_a_copy(store: LocalStore, area: str) -> None:
    write_file(f"{area}/x", b"good")
    os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
    inode = os.stat(f"{area}/x").st_ino
    with open(f"{area}/x", "r+b") as smuggled:
        info = take(store, f"{area}/x", copy=True)
        smuggled.write(b"evil")
    assert os.stat(store.real(info.path)).st_ino != inode
    assert archive(store, info.path) == file_archive(b"good")


def test_planted_names_are_not_followed(store: LocalStore, area: str) -> None:
    canary = f"{os.path.dirname(area)}/canary"
    write_file(canary, b"mine")
    path = some_path("out", store.directory)
    for name in [".tmp", "out.tmp", f"{path.base}.tmp", ".tmp-x", "0", "1"]:
        os.symlink(canary, f"{area}/{name}")
    write_file(f"{area}/x", b"evil")
    give(area)
    take(store, f"{area}/x", copy=True)
    with open(canary, "rb") as file:
        assert file.read() == b"mine"
