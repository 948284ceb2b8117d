"""Texts that are added the quick way become what the careful way makes of them, or are left to it."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from fruix.errors import BadDerivationError, BadStorePathError, InvalidPathError, NoSpaceError, StoreError
from fruix.model import aterm
from fruix.model.storepath import StorePath
from fruix.model.text_object import Text
from fruix.store import schema
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.room import Limits
from store.helpers import leftovers, some_path
from store.test_registration import derivation


def all_of(store: LocalStore, path: StorePath) -> tuple[Any, ...]:
    """What is known of a path, the rows of its outputs, and what its file is."""
    info = store.path_info(path)
    assert info is not None
    status = os.lstat(store.real(path))
    with open(store.real(path), "rb") as file:
        data = file.read()
    with store.database.writing() as connection:
        rows = connection.execute("select * from ValidPaths where path = ?", (path.text,)).fetchall()
    times = {info.registration_time, *(row[3] for row in rows)}
    assert len(times) == 1
    row = [value for index, value in enumerate(rows[0]) if index not in (0, 3)]
    outputs = store.database.rows(schema.OUTPUTS, path.text)
    told = (path, info.references, info.content_address, row, outputs, path in store.temp_roots)
    return *told, data, status.st_mode, status.st_mtime_ns, status.st_atime_ns, status.st_nlink, status.st_uid


def drv(store: LocalStore, inputs: dict[StorePath, tuple[str, ...]] | None = None) -> Text:
    made = derivation(store, "thing", inputs)
    return Text("thing.drv", aterm.render(made), made.references)


def test_it_is_the_same(store: LocalStore, layout: Layout) -> None:
    first = store.add_text("first", b"1")
    second = store.add_text("second", b"2", [first])
    input_drv = drv(store)
    inner = store.add_text(input_drv.name, input_drv.contents, input_drv.references)
    outer = drv(store, {inner: ("lib",)})
    texts = [
        Text("none", b"x", ()),
        Text("name", b"contents" * 100, tuple(sorted((second, first)))),
        Text("empty", b"", ()),
        outer,
    ]
    quick = []
    for text in texts:
        added = store.add_new_text(text.name, text.contents, [path.text for path in text.references])
        assert added is not None
        info = store.path_info(added.path)
        assert info is not None
        assert (added.path, added.address) == (info.path, str(info.content_address))
        assert (added.nar_digest, added.nar_size) == (info.nar_hash.digest, info.nar_size)
        assert added.references == [path.text for path in info.references]
        assert added.registration_time == info.registration_time
        quick.append(all_of(store, added.path))
    assert store.verify(contents=True) == []
    store.close()
    for name in (layout.store, layout.state):
        shutil.rmtree(name)
    with LocalStore(layout) as again:
        again.add_text("first", b"1")
        again.add_text("second", b"2", [first])
        again.add_text(input_drv.name, input_drv.contents, input_drv.references)
        assert quick == [
            all_of(again, again.add_text(text.name, text.contents, text.references)) for text in texts
        ]
    store.open()


def test_what_is_there_is_left_to_the_careful_way(store: LocalStore) -> None:
    path = store.add_text("text", b"text")
    inode = os.lstat(store.real(path)).st_ino
    assert store.add_new_text("text", b"text", []) is None
    assert os.lstat(store.real(path)).st_ino == inode
    store.database.remove([path])
    assert store.add_new_text("text", b"text", []) is None  # garbage is there as well


def test_nothing_is_left_of_what_is_refused(store: LocalStore) -> None:
    missing = some_path("missing", store.directory).text
    good = drv(store)
    for error, arguments in (
        (InvalidPathError, ("text", b"", [missing])),
        (BadStorePathError, (".text", b"", [])),
        (BadStorePathError, ("a b", b"", [])),
        (BadDerivationError, ("text.drv", b"", [])),
        (BadDerivationError, (good.name, good.contents.replace(b"/bin/sh", b"/bin/XX"), [])),
    ):
        with pytest.raises(error):
            store.add_new_text(*arguments)
        with pytest.raises(error):
            store.add_text(*arguments[:2], list(map(StorePath, arguments[2])))
    assert leftovers(store) == []
    assert os.listdir(store.directory) == []
    assert store.all_valid_paths() == []


def test_a_file_is_taken_back_when_registration_fails(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("no")

    monkeypatch.setattr(store._registrar, "register_text", fail)
    with pytest.raises(StoreError):
        store.add_new_text("text", b"", [])
    assert os.listdir(store.directory) == []
    assert leftovers(store) == []


def test_a_file_is_there_when_it_becomes_valid(store: LocalStore) -> None:
    there: list[tuple[str, list[str]]] = []

    def said(statement: str) -> None:
        there.append((statement, os.listdir(store.directory)))

    with store.database.writing() as connection:
        connection.set_trace_callback(said)
    added = store.add_new_text("text", b"", [])
    assert added is not None
    assert there[-1] == ("commit", [added.path.base])
    # Not before it is known that it isn't valid.
    assert [base for text, base in there if text.startswith(("begin", "\ninsert into ValidPaths"))] == [
        [],
        [],
    ]


def test_what_was_deleted_by_hand_is_left_to_the_careful_way(store: LocalStore) -> None:
    path = store.add_text("text", b"text")
    os.unlink(store.real(path))
    with pytest.raises(StoreError, match="UNIQUE"):
        store.add_new_text("text", b"text", [])
    assert leftovers(store) == []
    assert os.listdir(store.directory) == []
    assert store.add_text("text", b"text") == path
    assert store.verify(contents=True) == []


def test_what_is_to_be_on_disk_at_once_is_left_to_the_careful_way(layout: Layout) -> None:
    with LocalStore(layout, durability="strict") as store:
        assert store.add_new_text("text", b"", []) is None
        assert store.all_valid_paths() == []


def test_limits(layout: Layout) -> None:
    with LocalStore(layout, limits=Limits(min_free=1 << 60)) as store:
        with pytest.raises(NoSpaceError):
            store.add_new_text("text", b"", [])
        assert os.listdir(store.directory) == []
    with LocalStore(layout, limits=Limits(max_derivation=10)) as store, pytest.raises(BadDerivationError):
        store.add_new_text("text.drv", b"x" * 11, [])
