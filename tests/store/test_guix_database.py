"""Guix's form of the database: taken over when the store is opened, and given back.

`tests/clients/guix` does the same with the real guix-daemon.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fruix.errors import StoreError
from fruix.model.pathinfo import PathInfo
from fruix.store import Layout, LocalStore
from fruix.store.guix_database import give_back, take_over


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A store with some paths, which guix-daemon could open now."""
    where = Layout(f"{tmp_path}/frx/store", f"{tmp_path}/frx/var/fruix", f"{tmp_path}/frx/log")
    with LocalStore(where) as store:
        first = store.add_text("first", b"one")
        store.add_text("second", f"see {first}".encode(), [first])
        store.add_text("none.drv", b'Derive([],[],[],"x86_64-linux","/b",[],[])')
        store.failures.note([first])
    give_back(where)
    return where


def infos(layout: Layout) -> dict[str, PathInfo]:
    with LocalStore(layout) as store:
        found = {str(path): store.path_info(path) for path in store.all_valid_paths()}
        assert store.verify(contents=True, strays=True) == []
        return {path: info for path, info in found.items() if info is not None}


def kept(layout: Layout) -> list[str]:
    return sorted(
        name for name in os.listdir(f"{layout.state}/db") if re.fullmatch(r"db\.sqlite\.before-[0-9-]+", name)
    )


def schema(layout: Layout) -> str:
    return Path(layout.state, "db/schema").read_text()


def columns(file: str) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return [row[1] for row in database.execute("pragma table_info(ValidPaths)")]


def test_what_is_given_to_guix(layout: Layout) -> None:
    assert schema(layout) == "7"
    assert columns(layout.database) == ["id", "path", "hash", "registrationTime", "deriver", "narSize"]
    with closing(sqlite3.connect(layout.database)) as database:
        tables = {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
        assert tables == {"ValidPaths", "Refs", "DerivationOutputs", "FailedPaths", "sqlite_sequence"}
        assert database.execute("select count(*) from Refs").fetchone() == (1,)
        assert database.execute("select count(*) from FailedPaths").fetchone() == (1,)
        assert database.execute("pragma foreign_key_check").fetchall() == []
    for name in ("", "db", "gcroots", "profiles/per-user"):
        assert os.stat(f"{layout.state}/{name}").st_mode & 0o7777 == 0o755
    assert "ca" in columns(f"{layout.state}/db/{kept(layout)[0]}")


def test_it_is_taken_over_and_the_old_one_is_kept(layout: Layout) -> None:
    found = infos(layout)
    assert len(found) == 3
    assert schema(layout) == "10"
    assert [len(columns(f"{layout.state}/db/{name}")) for name in kept(layout)] == [9, 6]
    with LocalStore(layout) as store:  # as usual from now on
        assert len(store.failures.all()) == 1
        assert str(store.add_text("first", b"one")) in found
    assert len(kept(layout)) == 2
    give_back(layout)
    assert {path: info.nar_hash for path, info in infos(layout).items()} == {
        path: info.nar_hash for path, info in found.items()
    }


def test_nothing_is_read_anew(layout: Layout) -> None:
    """The mark of what is known to be on disk is at the last row."""
    with LocalStore(layout) as store:
        assert store.database.mark() == store.database.last_id()


def test_a_second_try_after_a_crash(layout: Layout) -> None:
    """The schema's version is written last."""
    take_over(layout.database)
    assert schema(layout) == "7"
    assert len(infos(layout)) == 3


def test_guix_daemon_is_noticed(layout: Layout) -> None:
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'a+b'); "
        "fcntl.lockf(f, fcntl.LOCK_SH); print(flush=True); sys.stdin.read()"
    )
    guix = subprocess.Popen(
        [sys.executable, "-c", hold, f"{layout.state}/db/big-lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with guix:
        assert guix.stdout is not None
        guix.stdout.readline()
        with pytest.raises(StoreError, match="guix-daemon works on this store"), LocalStore(layout):
            pass
        assert guix.stdin is not None
        guix.stdin.close()
    assert schema(layout) == "7"
    assert len(infos(layout)) == 3


def test_a_store_in_use_is_not_given_away(layout: Layout) -> None:
    with LocalStore(layout), pytest.raises(StoreError, match="somebody works on the store"):
        give_back(layout)
    give_back(layout)
    with pytest.raises(StoreError, match="schema version 7, not 10"):
        give_back(layout)
