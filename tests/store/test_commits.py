"""Whether something was committed is told by the header of SQLite's shared index."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from fruix.store import commits
from fruix.store.commits import CommitHeader
from fruix.store.local import LocalStore

COMMIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("pragma user_version = 7")
"""


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path / "db", isolation_level=None)
    connection.execute("pragma journal_mode = wal").fetchone()
    connection.execute("create table t (x)")
    return connection


def test_each_commit_changes_it_and_nothing_else_does(database: sqlite3.Connection, tmp_path: Path) -> None:
    header = CommitHeader(str(tmp_path / "db"))
    seen = [header.read()]
    assert seen[0]
    assert database.execute("select * from t").fetchall() == []
    database.execute("begin immediate")
    database.execute("insert into t values (1)")
    assert header.read() == seen[0]
    database.execute("rollback")
    assert header.read() == seen[0]
    database.execute("insert into t values (1)")
    seen.append(header.read())
    subprocess.run([sys.executable, "-c", COMMIT, str(tmp_path / "db")], check=True)
    seen.append(header.read())
    assert len(set(seen)) == len(seen)


def test_nothing_is_opened_which_would_have_to_be_closed(
    database: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **_names: object) -> int:
        raise AssertionError("closing it would drop SQLite's locks")

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "dup", opened)
    assert CommitHeader(str(tmp_path / "db")).read()


def test_without_a_descriptor_or_a_whole_header_nothing_is_told(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    assert CommitHeader(str(tmp_path / "other")).read() == b""
    (tmp_path / "short-shm").write_bytes(b"short")
    with (tmp_path / "short-shm").open("rb"):
        assert CommitHeader(str(tmp_path / "short")).read() == b""
    (tmp_path / "empty-shm").write_bytes(bytes(4096))  # as before its first reader
    with (tmp_path / "empty-shm").open("rb"):
        assert CommitHeader(str(tmp_path / "empty")).read() == b""


def test_a_store_without_it_asks_sqlite(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "_descriptor_of", lambda _: -1)
    before = store.database.version()
    assert store.database.version() == before
    store.add_text("a", b"a")
    assert store.database.version() != before


def test_a_store_that_is_opened_again_has_another_version(store: LocalStore) -> None:
    before = store.database.version()
    assert store.database.version() == before
    store.reopen()
    assert store.database.version() != before


def test_a_commit_writes_few_small_pages(store: LocalStore) -> None:
    """Counted in the log: a text with two references."""
    paths = [store.add_text(name, b"") for name in ("a", "b")]
    log = store.database.file + "-wal"
    before = os.stat(log).st_size
    store.add_text("c", b"", paths)
    frame = 2048 + 24
    assert (os.stat(log).st_size - before) % frame == 0
    assert (os.stat(log).st_size - before) // frame <= 9


def test_a_commit_that_nobody_is_to_see(database: sqlite3.Connection, tmp_path: Path) -> None:
    header = CommitHeader(str(tmp_path / "db"))
    before = header.read()
    for _ in range(3):
        header.keep_over(lambda: database.execute("insert into t values (1)"))
        assert header.read() == before
    database.execute("insert into t values (4)")
    after = header.read()
    assert after != before
    header.keep_over(lambda: database.execute("insert into t values (5)"))
    assert header.read() == after


def test_somebody_elses_commit_directly_after_it_is_seen(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    header = CommitHeader(str(tmp_path / "db"))
    before = header.read()

    def commit() -> None:
        database.execute("insert into t values (1)")
        subprocess.run([sys.executable, "-c", COMMIT, str(tmp_path / "db")], check=True)

    header.keep_over(commit)
    assert header.read() != before


def test_a_failed_commit_is_none(database: sqlite3.Connection, tmp_path: Path) -> None:
    header = CommitHeader(str(tmp_path / "db"))
    before = header.read()
    with pytest.raises(sqlite3.OperationalError):
        header.keep_over(lambda: database.execute("insert into nothing values (1)"))
    assert header.read() == before
    header.keep_over(lambda: None)  # nothing was to be changed
    assert header.read() == before
    database.execute("insert into t values (1)")
    assert header.read() != before


def test_the_mark_of_what_is_on_disk_leaves_the_version(store: LocalStore) -> None:
    store.add_text("a", b"a")
    before = store.database.version()
    mark = store.database.mark()
    store.database.set_mark(store.database.last_id())
    assert store.database.mark() > mark
    assert store.database.version() == before
    store.add_text("b", b"b")
    assert store.database.version() != before
