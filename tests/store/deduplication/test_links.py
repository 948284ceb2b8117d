"""`.links`: what the collector removes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.store.deduplication.links import linked_inodes, opened_links, remove_unused_links
from fruix.store.layout import Layout
from fruix.store.leftovers import has_links, session_name
from fruix.store.local import LocalStore
from store.helpers import directory_fd, write_file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[int]:
    descriptor = directory_fd(tmp_path)
    yield descriptor
    os.close(descriptor)


def test_only_links_that_are_the_last_name_go(store: int, tmp_path: Path) -> None:
    with opened_links(store):
        write_file(tmp_path / ".links/unused", b"12345")
        write_file(tmp_path / "used", b"1")
        os.link(tmp_path / "used", tmp_path / ".links/used")
    sizes: list[int] = []
    assert remove_unused_links(store, sizes.append) == 1
    assert sizes == [5]
    assert os.listdir(tmp_path / ".links") == ["used"]
    assert linked_inodes(store) == {os.stat(tmp_path / "used").st_ino}


def test_an_empty_directory_of_links_goes(store: int, tmp_path: Path) -> None:
    with opened_links(store):
        for number in range(4200):
            write_file(tmp_path / f".links/{number}")
    assert remove_unused_links(store) == 4200
    assert os.listdir(tmp_path) == []
    assert remove_unused_links(store) == 0
    assert linked_inodes(store) == set()


def test_an_empty_directory_of_links_stays_where_it_has_to(store: int, tmp_path: Path) -> None:
    assert not has_links(store)
    with opened_links(store):
        write_file(tmp_path / ".links/unused")
    assert has_links(store)
    assert remove_unused_links(store, keep=True) == 1
    assert os.listdir(tmp_path) == [".links"]
    assert not has_links(store)


def test_links_are_nothing_foreign_after_a_crash(layout: Layout) -> None:
    with LocalStore(layout) as store:
        identity = store.database.identity
    os.mkdir(f"{layout.store}/.links")
    os.mkdir(f"{layout.staging[0]}/{session_name(identity)}")
    with LocalStore(layout) as store:
        assert store.swept.foreign == []
        assert store.swept.removed == []
