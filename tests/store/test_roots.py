from __future__ import annotations

import os
import threading

import pytest

from fruix.errors import UsageError
from fruix.store.collection.temp_roots import TempRoots
from fruix.store.local import LocalStore
from fruix.store.roots import auto_name, replace_link
from store.helpers import some_path

STORE = "/frx/store"


def test_name_of_an_indirect_root() -> None:
    assert auto_name("/x/out/guix/root1") == "84jzw0fa86j342j76049k4a63la7ad61"


def test_indirect_root(store: LocalStore) -> None:
    store.add_indirect_root("/x/out/guix/root1")
    store.add_indirect_root("/x/out/guix/root1")
    automatic = f"{store.layout.gcroots}/auto"
    assert os.listdir(automatic) == ["84jzw0fa86j342j76049k4a63la7ad61"]
    assert os.readlink(f"{automatic}/84jzw0fa86j342j76049k4a63la7ad61") == "/x/out/guix/root1"


@pytest.mark.parametrize("link", ["result", "", "/a\0b"])
def test_odd_links_are_refused(store: LocalStore, link: str) -> None:
    with pytest.raises(UsageError):
        store.add_indirect_root(link)


def test_replacing_a_link_leaves_nothing_beside_it(store: LocalStore, area: str) -> None:
    replace_link("a", f"{area}/result")
    replace_link("b", f"{area}/result")
    assert os.readlink(f"{area}/result") == "b"
    os.mkdir(f"{area}/directory")
    with pytest.raises(OSError, match="directory"):
        replace_link("b", f"{area}/directory")
    assert sorted(os.listdir(area)) == ["directory", "result"]


def test_temporary_roots_go_with_their_session() -> None:
    roots = TempRoots()
    lasting, own, other = (some_path(name, STORE) for name in ("lasting", "own", "other"))
    roots.add(lasting)
    with roots.session() as mine:
        roots.add(own)
        assert mine == {own}

        def elsewhere() -> None:
            roots.add(other)  # a thread that serves no session

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert roots.all() == {lasting, own, other}
        assert own in roots
    assert roots.all() == {lasting, other}
    assert own not in roots


def test_several_threads_work_for_one_session() -> None:
    roots = TempRoots()
    a, b = (some_path(name, STORE) for name in "ab")
    with roots.session() as mine:
        roots.add(a)

        def helper() -> None:
            with roots.session(mine):
                roots.add(b)

        thread = threading.Thread(target=helper)
        thread.start()
        thread.join()
        assert roots.all() == {a, b}
    assert roots.all() == set()


def test_sessions_may_hold_the_same_path() -> None:
    roots = TempRoots()
    path = some_path("x", STORE)
    with roots.session():
        roots.add(path)
        with roots.session():
            roots.add(path)
        assert path in roots
    assert path not in roots
