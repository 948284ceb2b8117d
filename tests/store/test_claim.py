"""Whose a store is: one database, one state directory at a time.

What else lies in it is never taken for something of ours.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fruix.errors import StoreError
from fruix.store.layout import Layout
from fruix.store.leftovers import session_name
from fruix.store.local import LocalStore
from fruix.store.owner import StoreLock
from store.helpers import nothing_but, some_path, write_file

ODD_NAMES = [
    "x.lock",
    "x.chroot",
    "x.check",
    "x-repeat",
    "x.tmp-0123456789abcdef",
    "links",
    "owner",
    "staging",
]


def filled(layout: Layout) -> list[str]:
    with LocalStore(layout) as store:
        return [store.add_text(name, name.encode()).base for name in ("a", "b", "c")]


def other_state(layout: Layout) -> Layout:
    return replace(layout, state=f"{layout.state}-2")


# Names


@pytest.mark.parametrize("stop", ["clean", "killed"])
def test_objects_may_have_any_legal_name(layout: Layout, stop: str) -> None:
    """Each start keeps them, also the one after a crash, which looks at every name."""
    with LocalStore(layout) as store:
        paths = [store.add_text(name, b"mine") for name in ODD_NAMES]
        identity = store.database.identity
    if stop == "killed":
        os.mkdir(f"{layout.staging[0]}/{session_name(identity)}")
    with LocalStore(layout) as store:
        assert store.swept.removed == []
        assert nothing_but(store, *paths)
        assert store.verify(contents=True) == []
        with store.lock_paths(paths):
            assert nothing_but(store, *paths)


@pytest.mark.parametrize("name", ["HASH-x.drv", "HASH-x.lock", ".tmp-x", ".links", "x.lock", "HASH-"])
def test_a_directory_of_any_name_is_in_nobodys_way(layout: Layout, name: str) -> None:
    """Somebody has made it by hand: a start neither fails at it nor deletes it."""
    valid = filled(layout)
    name = name.replace("HASH", some_path("x", layout.store).hash_part)
    os.mkdir(f"{layout.store}/{name}")
    write_file(f"{layout.store}/{name}/mine")
    for _ in range(2):
        with LocalStore(layout) as store:
            assert store.verify(contents=True) == []
    assert sorted(os.listdir(layout.store)) == sorted([*valid, name])


# What crashed processes left


def crashed(layout: Layout, actions: str) -> None:
    """A process that opens the store, does something and is killed."""
    program = (
        "import os, signal, sys\n"
        "from fruix.store.layout import Layout\n"
        "from fruix.store.local import LocalStore\n"
        "store = LocalStore(Layout(*sys.argv[1:])).open()\n"
        f"{actions}\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, layout.store, layout.state, layout.log],
        check=False,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_unregistered_objects_of_a_crash_go_with_the_next_start(layout: Layout) -> None:
    valid = filled(layout)
    left = some_path("left", layout.store).base
    crashed(layout, f"os.mkdir(store.directory + '/{left}')")
    write_file(f"{layout.store}/notes of a person")
    with LocalStore(layout) as store:
        assert store.swept.removed == [left]
        assert store.swept.notes(layout.store) == [
            f"in {layout.store}, no store objects, left alone: notes of a person"
        ]
    assert sorted(os.listdir(layout.store)) == sorted([*valid, "notes of a person"])
    assert os.listdir(layout.staging[0]) == []


def test_what_is_older_than_the_crash_stays(layout: Layout) -> None:
    filled(layout)
    older = some_path("older", layout.store).base
    os.mkdir(f"{layout.store}/{older}")
    with LocalStore(layout) as store:
        identity = store.database.identity
    later = os.stat(f"{layout.store}/{older}").st_ctime_ns + 10**12
    os.mkdir(f"{layout.staging[0]}/{identity}-{later:020}-{'0' * 16}")
    with LocalStore(layout) as store:
        assert store.swept.removed == []
        assert store.swept.older == [older]
        assert "not registered, older than the crash" in store.swept.notes(layout.store)[0]


def test_a_clean_start_reads_no_store_directory(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(layout)
    scandir, listdir = os.scandir, os.listdir
    seen: list[object] = []

    def noted(call: Callable[..., object]) -> Callable[..., object]:
        def note(path: object = ".") -> object:
            seen.append(path)
            return call(path)

        return note

    monkeypatch.setattr(os, "scandir", noted(scandir))
    monkeypatch.setattr(os, "listdir", noted(listdir))
    with LocalStore(layout) as store:
        assert seen != []
        assert not {layout.store, store._descriptor} & set(seen)


# Two state directories


def test_two_state_directories_on_one_store(layout: Layout) -> None:
    other = other_state(layout)
    with LocalStore(layout) as first:
        path = first.add_text("a", b"a")
        with pytest.raises(StoreError, match="another daemon works on this store") as caught:
            LocalStore(other).open()
        assert f"process {os.getpid()}, state directory {layout.state}" in str(caught.value)
        assert first.is_valid(path)
    with pytest.raises(StoreError, match="the store belongs to the database"):
        LocalStore(other).open()  # also afterwards: its database is another one
    with LocalStore(layout) as first:
        assert first.verify(contents=True) == []


def test_a_lock_that_is_deleted_while_it_is_taken_counts_for_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two daemons would hold locks of one name on two files."""
    layout.create()
    Path(layout.database).touch()
    owner = os.path.join(os.path.dirname(layout.store), f".{os.path.basename(layout.store)}.owner")
    flock = fcntl.flock
    taken: list[int] = []

    def deleting(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not taken:
            os.unlink(owner)
        taken.append(descriptor)

    monkeypatch.setattr(fcntl, "flock", deleting)
    lock = StoreLock(layout.store, layout.state, os.path.dirname(layout.database))
    assert len(taken) == 2
    assert os.path.samestat(os.fstat(taken[1]), os.stat(lock.path))
    lock.close()


def test_an_empty_store_may_get_another_state_directory(layout: Layout) -> None:
    with LocalStore(layout):
        pass
    with LocalStore(other_state(layout)) as store:
        assert store.all_valid_paths() == []


# A database that was lost


def deleted(layout: Layout) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(layout.database + suffix).unlink(missing_ok=True)


def emptied(layout: Layout) -> None:
    with sqlite3.connect(layout.database) as database:
        database.execute("delete from Refs")
        database.execute("delete from ValidPaths")
    database.close()


def replaced(layout: Layout) -> None:
    elsewhere = replace(layout, store=f"{layout.store}-2", state=f"{layout.state}-2")
    filled(elsewhere)
    os.rename(elsewhere.database, layout.database)


def of_the_day_before(layout: Layout) -> None:
    with sqlite3.connect(layout.database) as database:
        database.execute("delete from ValidPaths where id > 1")
        database.execute("update sqlite_sequence set seq = 1 where name = 'ValidPaths'")
        database.execute("update FruixSync set mark = 1")
    database.close()


@pytest.mark.parametrize("lose", [deleted, emptied, replaced, of_the_day_before])
def test_a_lost_database_is_refused_until_somebody_says_so(
    layout: Layout, lose: Callable[[Layout], None]
) -> None:
    objects = filled(layout)
    lose(layout)
    before = sorted(os.listdir(layout.store))
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            LocalStore(layout).open()
        assert caught.value.where == layout.store
        assert "--accept-store" in (caught.value.hint or "")
        assert sorted(os.listdir(layout.store)) == before == sorted(objects)
    with LocalStore(layout, accept=True) as store:
        assert sorted(os.listdir(layout.store)) == before
        path = store.add_text("a", b"a")
        assert store.is_valid(path)
    with LocalStore(layout) as store:  # the word is kept
        assert store.is_valid(path)


def test_a_store_without_a_database_beside_it_that_is_empty(layout: Layout) -> None:
    filled(layout)
    deleted(layout)
    for name in os.listdir(layout.store):
        os.unlink(f"{layout.store}/{name}")
    with LocalStore(layout) as store:
        assert store.all_valid_paths() == []


# Others


def test_nothing_that_could_be_locked_can_be_opened_by_others(layout: Layout) -> None:
    """A lock takes no more than a descriptor, and that no more than the right to read."""
    layout.create()
    os.chmod(layout.state, 0o755)
    os.chmod(f"{layout.state}/db", 0o755)
    write_file(f"{layout.state}/daemon.lock", mode=0o644)
    write_file(f"{layout.state}/db/schema", b"10", mode=0o644)
    with LocalStore(layout) as store:
        store.add_text("a", b"a")
        paths = [
            f"{parent}/{name}"
            for parent, directories, names in os.walk(layout.state)
            for name in (*directories, *names)
        ]
        owner = os.path.join(os.path.dirname(layout.store), f".{os.path.basename(layout.store)}.owner")
        readable = [
            path
            for path in (layout.state, owner, *paths)
            if os.lstat(path).st_mode & 0o044 and not os.path.islink(path)
        ]
    assert readable == []
