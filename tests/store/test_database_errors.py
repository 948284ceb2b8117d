"""What is said of a database that is full, locked or damaged: at the start, and while the store is open."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fruix.errors import FruixError, NoSpaceError, StoreError
from fruix.sandbox.linux import libc
from fruix.store import database_file
from fruix.store.database import Database
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from machine import own_mounts

PAGE = 4096


@contextmanager
def locked_by_another(file: str) -> Iterator[None]:
    """Another connection has it for itself, as a program that writes or copies would."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    try:
        yield
    finally:
        other.execute("rollback")
        other.close()


def assert_locked(error: FruixError, file: str) -> None:
    assert error.where == file
    assert "another program has locked it" in error.message
    assert "'fuser' names it" in error.hint


def test_a_database_that_another_program_has_locked(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_file, "BUSY_TIMEOUT", 1)
    with LocalStore(layout) as store:
        path = store.add_text("one", b"1")
        with locked_by_another(layout.database):
            with pytest.raises(StoreError) as caught:
                store.add_text("two", b"2")
            assert_locked(caught.value, layout.database)
            assert store.is_valid(path), "questions go on"
        store.add_text("two", b"2")
    with locked_by_another(layout.database), pytest.raises(StoreError) as caught:
        LocalStore(layout).open()
    assert_locked(caught.value, layout.database)


def spoil(file: str) -> None:
    """Overwrite all but the first pages, as a failing disk or a bad copy does."""
    for name in (f"{file}-wal", f"{file}-shm"):
        Path(name).unlink(missing_ok=True)
    size = os.path.getsize(file)
    with open(file, "r+b") as opened:
        opened.seek(PAGE)
        opened.write(os.urandom(size - PAGE))


def assert_damaged(error: FruixError, file: str) -> None:
    assert error.where == file
    assert "it is damaged" in error.message
    assert "fruix store rebuild-database" in error.hint


def test_a_damaged_database_at_the_start(layout: Layout) -> None:
    with LocalStore(layout) as store:
        for number in range(100):
            store.add_text(f"text-{number}", b"x")
    spoil(layout.database)
    with pytest.raises(StoreError) as caught, LocalStore(layout) as store:
        store.all_valid_paths()
    assert_damaged(caught.value, layout.database)


def test_a_file_that_is_no_database(layout: Layout) -> None:
    LocalStore(layout).open().close()
    Path(layout.database).write_bytes(b"no database " * 1000)
    with pytest.raises(StoreError) as caught:
        LocalStore(layout).open()
    assert_damaged(caught.value, layout.database)


def test_a_database_that_is_damaged_while_it_is_open(layout: Layout) -> None:
    with LocalStore(layout) as store:
        for number in range(100):
            store.add_text(f"text-{number}", b"x")
    store = LocalStore(layout).open()
    size = os.path.getsize(layout.database)
    with open(layout.database, "r+b") as opened:  # closing it drops SQLite's locks: nobody else is there
        opened.seek(PAGE)
        opened.write(os.urandom(size - PAGE))
    with pytest.raises(StoreError) as caught:
        store.all_valid_paths()
    assert_damaged(caught.value, layout.database)
    store.close()


@contextmanager
def small_disk(path: Path, options: str) -> Iterator[str]:
    own_mounts()
    path.mkdir()
    libc.mount(b"tmpfs", str(path).encode(), b"tmpfs", 0, f"{options},mode=755".encode())
    try:
        yield str(path)
    finally:
        libc.umount(str(path).encode(), libc.MNT_DETACH)


def fill(directory: str) -> None:
    """Leave not a byte."""
    with open(f"{directory}/ballast", "wb", buffering=0) as ballast:
        for size in (1 << 20, PAGE):
            try:
                while ballast.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def keep_many(database: Database) -> None:
    for number in range(10_000):
        database.keep("x" * 1000 + str(number))


def test_a_transaction_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=4m") as disk:
        database = Database(f"{disk}/db.sqlite", "/frx/store")
        database.open()
        fill(disk)
        with pytest.raises(NoSpaceError) as caught:
            keep_many(database)
        assert "0.0 MiB are free" in caught.value.message
        assert caught.value.where == disk
        assert "fruix gc" in caught.value.hint
        assert database.all_paths() == []
        database.close()


def test_a_database_that_cannot_be_opened_on_a_full_disk(tmp_path: Path) -> None:
    """SQLite calls the lack of room for its shared memory a 'disk I/O error'."""
    with small_disk(tmp_path / "disk", "size=4m") as disk:
        database = Database(f"{disk}/db.sqlite", "/frx/store")
        database.open()
        database.close()
        Path(f"{disk}/reserved").unlink()
        fill(disk)
        with pytest.raises(NoSpaceError) as caught:
            database.open()
        assert "0.0 MiB are free" in caught.value.message


def test_a_database_that_cannot_be_opened_for_lack_of_inodes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=40m,nr_inodes=20") as disk:
        database = Database(f"{disk}/db.sqlite", "/frx/store")
        database.open()
        database.close()
        Path(f"{disk}/reserved").unlink()
        with suppress(OSError):
            for number in range(20):
                Path(f"{disk}/{number}").touch()
        with pytest.raises(NoSpaceError, match="no more files can be made"):
            database.open()
