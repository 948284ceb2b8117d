"""Collections of one store, alone with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection

import pytest

from fruix.errors import PathAliveError
from fruix.model.contentaddress import Method
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store.collection import strays
from fruix.store.collection.parts import Parts
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.helpers import being_made, some_path

KEEP = Keep()


def names(store: LocalStore) -> set[str]:
    return set(os.listdir(store.directory))


def text(store: LocalStore, name: str, *references: StorePath) -> StorePath:
    """A text that nothing keeps alive: its temporary root goes at once."""
    with store.temp_roots.session():
        return store.add_text(name, name.encode(), references)


def root(store: LocalStore, name: str, path: StorePath) -> str:
    link = f"{store.layout.gcroots}/{name}"
    os.symlink(str(path), link)
    return link


def test_everything_goes_that_nothing_keeps(store: LocalStore) -> None:
    a = text(store, "a")
    b = text(store, "b", a)
    c = text(store, "c")
    root(store, "b", b)
    found = store.collect(KEEP, Goal())
    assert (found.live, found.deleted, found.freed) == (2, 1, 1)
    assert store.all_valid_paths() == sorted([a, b])
    assert names(store) == {a.base, b.base}
    assert not store.is_valid(c)


def test_after_collecting_everything_the_store_directory_is_empty(store: LocalStore) -> None:
    paths = [text(store, "0")]
    for number in range(1, 700):
        paths.append(text(store, str(number), *paths[-3:]))
    assert store.collect(KEEP, Goal()).deleted == 700
    assert names(store) == set()
    assert store.all_valid_paths() == []
    assert being_made(store.layout) == []


def test_a_store_without_paths_can_be_opened_again(layout: Layout) -> None:
    with LocalStore(layout) as store:
        text(store, "a")
        kept = some_path("kept.check", store.directory)
        store.database.keep(kept.base)
        os.mkdir(f"{store.directory}/{kept.base}")
        store.collect(KEEP, Goal())
        assert names(store) == {kept.base}
    with LocalStore(layout) as store:
        assert names(store) == {kept.base}
        text(store, "a")


def test_unregistered_objects_go_and_other_things_stay(store: LocalStore) -> None:
    stray, used, locked = (some_path(name, store.directory) for name in ("stray", "used", "locked"))
    for name in (stray.base, used.base, locked.base, "foreign"):
        os.makedirs(f"{store.directory}/{name}/inside")
    store.add_temp_root(used)
    with store.lock_paths([locked]):
        found = store.collect(KEEP, Goal())
    assert names(store) == {used.base, locked.base, "foreign"}
    assert (found.deleted, found.foreign) == (1, ("foreign",))


def test_a_dry_run_changes_nothing(store: LocalStore) -> None:
    a = text(store, "a")
    found = store.collect(KEEP, Goal(dry_run=True))
    assert (found.live, found.deleted) == (0, 1)
    assert store.is_there(a)
    assert store.dead_paths(KEEP) == [a]
    assert store.live_paths(KEEP) == []


def test_the_largest_goes_first_when_not_all_need_to(store: LocalStore) -> None:
    big = text(store, "big" * 60)
    small = [text(store, name) for name in "abc"]
    found = store.collect(KEEP, Goal(max_freed=10))
    assert (found.deleted, found.freed) == (1, 180)
    assert store.all_valid_paths() == sorted(small)
    assert not store.is_valid(big)
    assert store.collect(KEEP, Goal(max_freed=0)).deleted == 0


def test_enough_space_is_free_already(store: LocalStore) -> None:
    text(store, "a")
    assert store.collect(KEEP, Goal(min_free=1)).deleted == 0
    assert store.collect(KEEP, Goal(min_free=1 << 62)).deleted == 1


def test_what_is_deleted_by_name(store: LocalStore) -> None:
    a = text(store, "a")
    b = text(store, "b", a)
    with pytest.raises(PathAliveError, match=f"cannot delete path '{a}' since '{b}' refers to it"):
        store.delete([a], KEEP)
    link = root(store, "b", b)
    for path in (a, b):
        with pytest.raises(PathAliveError, match=f"cannot delete path '{path}' since it is still alive"):
            store.delete([path], KEEP)
    os.unlink(link)
    assert store.is_there(a)
    assert store.is_there(b)
    assert store.delete([b], KEEP).deleted == 1
    assert store.delete([a], KEEP).deleted == 1
    assert names(store) == set()
    assert store.delete([a], KEEP).deleted == 0


def test_with_those_that_refer_to_it(store: LocalStore) -> None:
    a = text(store, "a")
    text(store, "b", a)
    assert store.delete([a], KEEP, referrers=True).deleted == 2
    assert names(store) == set()


def test_the_reserve_is_there_again(store: LocalStore) -> None:
    reserved = f"{os.path.dirname(store.layout.database)}/reserved"
    size = os.stat(reserved).st_size
    assert size
    text(store, "a")
    store.collect(KEEP, Goal())
    assert os.stat(reserved).st_size == size


def test_deduplicated_files_count_once_and_leave_nothing(store: LocalStore) -> None:
    for name in "abc":
        text(store, name * 30)
    with store.temp_roots.session():
        paths = [store.add_dump(name, Method.FLAT, "sha256", [b"x" * 9000]).path for name in "def"]
    store.optimise()
    assert os.stat(store.real(paths[0])).st_nlink == 4
    assert store.delete(paths[:1], KEEP).freed == 0
    assert store.delete(paths[1:], KEEP).freed == 9000
    assert store.collect(KEEP, Goal()).freed == 90
    assert names(store) == set()


def test_strays_are_found_beside_the_look_and_looked_at_again(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What became valid, a temporary root or kept since its name was read stays."""
    gone, valid, held, kept = (some_path(name, store.directory) for name in ("gone", "valid", "held", "kept"))
    for path in (gone, valid, held, kept):
        os.mkdir(store.real(path))
    threads: list[bool] = []
    find = strays.find_strays

    def found(parts: Parts, spared: Collection[str]) -> strays.Strays:
        threads.append(threading.current_thread() is threading.main_thread())
        names = find(parts, spared)
        with store.database.writing() as connection:
            connection.execute(
                "insert into ValidPaths (path, hash, registrationTime) values (?, 'x', 1)", (str(valid),)
            )
        store.add_temp_root(held)
        store.database.keep(kept.base)
        return names

    monkeypatch.setattr(strays, "find_strays", found)
    root(store, "valid", valid)
    with store.temp_roots.session():
        assert store.collect(KEEP, Goal()).deleted == 1
    assert names(store) == {valid.base, held.base, kept.base}
    assert threads == [False]
