"""The sync mark, and what opening does after a crash."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from fruix.errors import StoreError
from fruix.store import durability, flags
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.tree import syncing
from machine import SEVERAL_IDS
from store.helpers import (
    BUILD_UID,
    being_made,
    directory_fd,
    info_of,
    make_golden_tree,
    nothing_but,
    some_path,
    write_file,
)

# Opens a store, does something, and dies without closing it.
PROGRAM = """
import os, signal, sys
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store import durability as sync
sync.INTERVAL = 3600.0
store = LocalStore(Layout(*sys.argv[1:4])).open()
{actions}
print("done", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(layout: Layout, actions: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(actions=actions), layout.store, layout.state, layout.log]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "done\n", result.stderr
    assert result.returncode == -signal.SIGKILL


def test_clean_close_leaves_nothing_to_check(layout: Layout) -> None:
    with LocalStore(layout) as store:
        path = store.add_text("a", b"a")
        last = store.database.last_id()
    with LocalStore(layout) as store:
        assert store.database.mark() == last
        assert store.recovered == []
        assert store.is_valid(path)
    assert [name for name in os.listdir(layout.store) if name.startswith(".")] == []


def test_after_a_crash_whole_paths_stay(layout: Layout) -> None:
    crash(layout, "a = store.add_text('a', b'a'); store.add_text('b', b'b', [a])")
    with LocalStore(layout) as store:
        assert store.recovered == []
        assert len(store.all_valid_paths()) == 2
        store.sync()
        assert store.database.mark() == store.database.last_id()


def test_after_a_crash_what_is_not_whole_goes_with_its_referrers(layout: Layout) -> None:
    actions = (
        "before = store.add_text('before', b'before'); store.sync()\n"
        "a = store.add_text('a', b'a' * 5000, [before])\n"
        "b = store.add_text('b', b'b', [a])\n"
        "c = store.add_text('c', b'c', [b])\n"
        "d = store.add_text('d', b'd', [before])\n"
        "e = store.add_text('e', b'e', [before])\n"
    )
    crash(layout, actions)
    names = {name.partition("-")[2]: f"{layout.store}/{name}" for name in os.listdir(layout.store)}
    os.chmod(names["a"], 0o644)
    os.truncate(names["a"], 100)  # as a power cut leaves files whose data was not written
    os.unlink(names["e"])
    # Damage from before the mark is not looked for: that is what `verify` does.
    os.chmod(names["before"], 0o644)
    with open(names["before"], "ab") as file:
        file.write(b"!")
    with LocalStore(layout) as store:
        assert [path.name for path in sorted(store.recovered, key=lambda p: p.name)] == ["a", "b", "c", "e"]
        assert {path.name for path in store.all_valid_paths()} == {"before", "d"}
        left = {name.partition("-")[2] for name in os.listdir(layout.store)}
        assert left == {"before", "d"}
        assert len(store.verify(contents=True)) == 1
    with LocalStore(layout) as store:
        assert store.recovered == []


def test_death_between_rename_and_registration(layout: Layout) -> None:
    actions = (
        "store._adding._register = lambda *_: "
        "(print('done', flush=True), os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    actions += "store.add_text('a', b'a')"
    crash(layout, actions)
    with LocalStore(layout) as store:
        assert store.all_valid_paths() == []
        assert store.recovered == []
        (left,) = store.swept.removed
        assert left.endswith("-a")
        assert os.listdir(layout.store) == []
        path = store.add_text("a", b"a")
        assert store.is_valid(path)
        assert store.verify(contents=True) == []


def test_death_while_staging(layout: Layout) -> None:
    actions = (
        "from fruix.model.contentaddress import Method\n"
        "def chunks():\n"
        "    yield b'half of it'\n"
        "    print('done', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.add_dump('x', Method.FLAT, 'sha256', chunks())"
    )
    crash(layout, actions)
    assert being_made(layout) == ["0"]
    with LocalStore(layout) as store:
        assert nothing_but(store)


def test_staging_of_the_living_stays(layout: Layout) -> None:
    with LocalStore(layout) as first, LocalStore(layout) as second:
        assert len(os.listdir(layout.staging[0])) == 2
        path = first.add_text("a", b"a")
        assert second.is_valid(path)
        assert second.add_text("a", b"a") == path


def test_no_recovery_while_another_process_has_the_store_open(layout: Layout) -> None:
    """What the other registered a moment ago may not be on disk yet, but it is whole."""
    with LocalStore(layout) as first:
        path = first.add_text("a", b"a")
        os.chmod(first.real(path), 0o644)
        write_file(first.real(path), b"damaged")
        with LocalStore(layout) as second:
            assert second.recovered == []
            assert second.is_valid(path)


def test_strict_waits_for_the_mark(layout: Layout) -> None:
    with LocalStore(layout, durability="strict") as store:
        store.add_text("a", b"a")
        assert store.database.mark() == store.database.last_id() == 1


def test_background_mark_follows(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "INTERVAL", 0.01)
    with LocalStore(layout) as store:
        assert store.database.mark() == 0
        marked = threading.Event()
        original = store.database.set_mark

        def set_mark(identifier: int) -> None:
            original(identifier)
            marked.set()

        monkeypatch.setattr(store.database, "set_mark", set_mark)
        store.add_text("a", b"a")
        assert marked.wait(60)
        assert store.database.mark() == 1


def test_order_of_a_sync(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, then the log, then the mark."""
    steps: list[str] = []

    def noted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            steps.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(flags, "sync_file_system", noted("files", flags.sync_file_system))
    for name in ("sync_log", "set_mark"):
        monkeypatch.setattr(store.database, name, noted(name, getattr(store.database, name)))
    store.add_text("a", b"a")
    store.sync()
    assert steps == ["files", "sync_log", "set_mark"]
    store.sync()
    assert len(steps) == 3


def test_lost_writes_stop_the_mark(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(layout, durability="strict").open()
    store.add_text("a", b"a")
    failing = True

    def fail(_descriptor: int) -> bool:
        if failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return True

    monkeypatch.setattr(flags, "sync_file_system", fail)
    with pytest.raises(StoreError, match="could not be written to disk: Input/output error"):
        store.add_text("b", b"b")
    failing = False  # the kernel reports an error once
    with pytest.raises(StoreError, match="Input/output error"):
        store.add_text("c", b"c")
    assert store.database.mark() == 1
    store.close()
    with LocalStore(layout) as again:
        assert again.database.mark() == 1
        assert again.recovered == []


def test_systems_without_syncfs(layout: Layout, area: str, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(flags, "HAS_SYNCFS", False)
    monkeypatch.setattr(flags, "sync_file_system", lambda _fd: False)
    original = syncing.sync_tree

    def noted(parent: int, name: bytes) -> None:
        synced.append(name.decode())
        original(parent, name)

    monkeypatch.setattr(durability, "sync_tree", noted)
    make_golden_tree(f"{area}/tree")
    with LocalStore(layout) as store:
        first = store.add_path("tree", f"{area}/tree")
        store.sync()
        second = store.add_text("a", b"a")
        store.sync()
        assert synced == [first.base, second.base]
        assert store.database.mark() == 2


def test_sync_tree_reaches_every_file(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    make_golden_tree(os.path.join(tmp_path, "tree"))
    expected = {
        os.stat(os.path.join(directory, name), follow_symlinks=False).st_ino
        for directory, _, files in os.walk(os.path.join(tmp_path, "tree"))
        for name in [*files, "."]
        if not os.path.islink(os.path.join(directory, name))
    }
    seen: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda fd: seen.add(os.fstat(fd).st_ino))
    parent = directory_fd(tmp_path)
    syncing.sync_tree(parent, b"tree")
    os.close(parent)
    assert seen == expected


def test_repair_is_synced_at_once(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    info, archive = info_of(store, "a", b"a")
    store.add_nar(info, [archive])
    store.sync()
    calls: list[int] = []

    def noted(descriptor: int) -> bool:
        calls.append(descriptor)
        return True

    monkeypatch.setattr(flags, "sync_file_system", noted)
    store.add_nar(info, [archive], repair=True)
    assert len(calls) == 1, "the new contents, under a private name, before the old ones go"


def test_open_fails_cleanly(layout: Layout) -> None:
    before = len(os.listdir("/proc/self/fd"))
    layout.create()
    with open(f"{layout.state}/db/schema", "w", encoding="ascii") as file:
        file.write("6")
    with pytest.raises(StoreError, match="version 6"):
        LocalStore(layout).open()
    assert len(os.listdir("/proc/self/fd")) == before
    os.unlink(f"{layout.state}/db/schema")
    store = LocalStore(layout).open()
    path = store.add_text("a", b"a")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="not open"):
        store.is_valid(path)
    assert len(os.listdir("/proc/self/fd")) == before


@SEVERAL_IDS
def test_taken_but_never_registered(layout: Layout, area: str) -> None:
    path = some_path("out", layout.store)
    write_file(f"{area}/x", b"x")
    os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
    with LocalStore(layout) as store:
        with store.lock_paths([path]):
            info = store.stage_output(f"{area}/x", path, OutputPolicy(BUILD_UID, ())).publish()
        assert not store.is_valid(path)
        store.delete_unregistered(path)
        assert not os.path.lexists(store.real(path))
        write_file(store.real(path), b"x", 0o444)
        store.register([info])
        with pytest.raises(StoreError, match="refusing to delete a valid path"):
            store.delete_unregistered(path)
        assert store.is_whole(path)
