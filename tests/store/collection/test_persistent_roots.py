"""Links that are roots, wherever they lie and whoever made them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruix.model.garbage import GarbageEvent, Goal, Keep, Root, RootNote
from fruix.model.storepath import StorePath
from fruix.store.local import LocalStore
from fruix.store.roots import auto_name
from store.helpers import some_path

DAY = 86400


@pytest.fixture
def path(store: LocalStore) -> StorePath:
    with store.temp_roots.session():
        return store.add_text("a", b"")


def links(store: LocalStore) -> list[str]:
    return [root.link for root in store.find_roots(processes=False)]


def test_direct_nested_and_into_a_path(store: LocalStore, path: StorePath) -> None:
    gcroots, profiles = store.layout.gcroots, store.layout.profiles
    os.symlink(str(path), f"{gcroots}/direct")
    os.makedirs(f"{gcroots}/per-user/somebody/deep")
    os.symlink(f"{path}/bin/sh", f"{gcroots}/per-user/somebody/deep/inside")
    os.mkdir(f"{profiles}/per-user/somebody")
    os.symlink(str(path), f"{profiles}/per-user/somebody/profile-1-link")
    os.symlink("profile-1-link", f"{profiles}/per-user/somebody/profile")
    assert store.find_roots(processes=False) == [
        Root(f"{gcroots}/direct", path),
        Root(f"{gcroots}/per-user/somebody/deep/inside", path),
        Root(f"{profiles}/per-user/somebody/profile-1-link", path),
    ]


def test_indirect(store: LocalStore, path: StorePath, tmp_path: Path) -> None:
    link = f"{os.path.realpath(tmp_path)}/result"
    os.symlink(str(path), link)
    store.add_indirect_root(link)
    assert store.find_roots(processes=False) == [Root(link, path)]
    os.unlink(link)
    os.symlink("/elsewhere", link)  # the user's again, but no root
    assert links(store) == []
    assert os.path.lexists(f"{store.layout.gcroots}/auto/{auto_name(link)}")


def test_what_an_indirect_root_points_to_is_a_temporary_root(
    store: LocalStore, path: StorePath, tmp_path: Path
) -> None:
    link = f"{os.path.realpath(tmp_path)}/result"
    os.symlink(str(path), link)
    with store.temp_roots.session() as roots:
        store.add_indirect_root(link)
        assert roots == {path}


def test_stale_links_go_only_from_auto(store: LocalStore, path: StorePath, tmp_path: Path) -> None:
    link, gcroots = f"{os.path.realpath(tmp_path)}/result", store.layout.gcroots
    store.add_indirect_root(link)
    os.symlink(link, f"{gcroots}/stays")
    told: list[GarbageEvent] = []
    assert store.find_roots(report=told.append) == []
    auto = f"{gcroots}/auto/{auto_name(link)}"
    assert told == [RootNote("stale", auto, link)]
    assert not os.path.lexists(auto)
    assert os.path.lexists(f"{gcroots}/stays")


def test_a_plain_file_with_the_name_of_an_object(store: LocalStore, path: StorePath) -> None:
    with open(f"{store.layout.gcroots}/{path.base}", "wb"):
        pass
    with open(f"{store.layout.gcroots}/nothing", "wb"):
        pass
    assert links(store) == [f"{store.layout.gcroots}/{path.base}"]


def test_what_is_not_valid_is_no_root(store: LocalStore) -> None:
    os.symlink(str(some_path("x", store.directory)), f"{store.layout.gcroots}/x")
    assert links(store) == []


def test_links_to_directories_are_not_followed(store: LocalStore, path: StorePath, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    os.symlink(str(path), tmp_path / "mine" / "link")
    os.symlink(tmp_path / "mine", f"{store.layout.gcroots}/outside")
    os.mkfifo(f"{store.layout.gcroots}/fifo")
    assert links(store) == []


def age(place: str, days: int) -> None:
    moment = os.lstat(place).st_mtime_ns - days * DAY * 10**9
    os.utime(place, ns=(moment, moment), follow_symlinks=False)


def test_roots_and_generations_that_were_not_used_for_long(
    store: LocalStore, path: StorePath, tmp_path: Path
) -> None:
    base, profiles = os.path.realpath(tmp_path), store.layout.profiles
    for name in ("old", "new"):
        os.symlink(str(path), f"{base}/{name}")
        store.add_indirect_root(f"{base}/{name}")
    for number in (1, 2, 3):
        os.symlink(str(path), f"{profiles}/p-{number}-link")
    os.symlink("p-2-link", f"{profiles}/p")
    os.symlink(str(path), f"{store.layout.gcroots}/direct")
    for place in (f"{base}/old", f"{profiles}/p-1-link", f"{profiles}/p-2-link", f"{profiles}/p"):
        age(place, 40)
    age(f"{store.layout.gcroots}/direct", 40)
    since = int(os.lstat(f"{base}/new").st_mtime) - 30 * DAY
    store.collect(Keep(), Goal(older_than=since, dry_run=True))
    assert len(links(store)) == 6
    store.collect(Keep(), Goal(older_than=since))
    assert links(store) == sorted(
        [f"{base}/new", f"{profiles}/p-2-link", f"{profiles}/p-3-link", f"{store.layout.gcroots}/direct"]
    )
    assert os.path.lexists(f"{base}/old")  # the user's own


def test_a_root_that_cannot_be_read_is_told_of(store: LocalStore, path: StorePath) -> None:
    os.symlink(f"/{'x' * 300}", f"{store.layout.gcroots}/long")
    os.symlink(str(path), f"{store.layout.gcroots}/z")
    told: list[GarbageEvent] = []
    found = store.find_roots(report=told.append, processes=False)
    assert [root.target for root in found] == [path]
    assert [event.what for event in told if isinstance(event, RootNote)] == ["unreadable"]
