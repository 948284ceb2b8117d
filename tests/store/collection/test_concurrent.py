"""Collections beside clients that add, and beside other processes that have the store open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fruix.errors import StoreError
from fruix.model.contentaddress import Method
from fruix.model.garbage import GarbageEvent, Goal, Keep, Marked
from fruix.model.nar import write
from fruix.store.collection.temp_root_file import OtherProcesses, TempRootFile
from fruix.store.collection.temp_roots import TempRoots
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.helpers import some_path

KEEP = Keep()
ROUNDS = 60
PATIENCE = 60


def file_archive(data: bytes) -> bytes:
    return write.MAGIC + write.file_head(len(data), executable=False) + data + write.file_tail(len(data))


def add_and_use(store: LocalStore, who: int) -> None:
    """What each session was told of is there until its end, also what others add and let go of."""
    for number in range(ROUNDS):
        with store.temp_roots.session():
            shared = store.add_text(f"shared-{number % 5}", b"the same for all")
            own = store.add_text(f"own-{who}-{number}", b"x" * number, [shared])
            tree = store.add_dump("tree", Method.NAR, "sha256", [file_archive(b"%d" % (number % 7))])
            for path in (shared, own, tree.path):
                assert store.is_there(path)
                assert b"".join(store.nar(path))
            assert store.references(own) == [shared]


def test_adding_and_collecting_at_once(store: LocalStore) -> None:
    done = threading.Event()

    def collect() -> int:
        deleted = 0
        while not done.is_set():
            deleted += store.collect(KEEP, Goal()).deleted
        return deleted

    with ThreadPoolExecutor(6) as pool:
        collectors = [pool.submit(collect) for _ in range(2)]
        adders = [pool.submit(add_and_use, store, who) for who in range(4)]
        try:
            for adder in adders:
                adder.result(PATIENCE)
        finally:
            done.set()
        assert sum(collector.result(PATIENCE) for collector in collectors) > ROUNDS
    store.collect(KEEP, Goal())
    assert os.listdir(store.directory) == []
    assert store.verify(contents=True) == []


def before_the_deletion(act: Callable[[], None]) -> Callable[[GarbageEvent], None]:
    """Have something done by another session when a collector has looked at everything."""

    def report(event: GarbageEvent) -> None:
        if isinstance(event, Marked):
            thread = threading.Thread(target=act)
            thread.start()
            thread.join(PATIENCE)

    return report


@pytest.mark.parametrize("heard", [True, False], ids=["root", "row"])
def test_what_comes_between_the_look_and_the_deletion(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    """A session that came and went: its temporary roots, or its new rows alone, keep what they refer to."""
    with store.temp_roots.session():
        oldest = store.add_text("oldest", b"")
        old = store.add_text("old", b"", [oldest])
        gone = store.add_text("gone", b"")

    def act() -> None:
        if not heard:
            monkeypatch.setattr(TempRoots, "add", lambda _self, _path: None)
        with store.temp_roots.session():
            store.add_text("new", b"", [old])

    store.collect(KEEP, Goal(), before_the_deletion(act))
    assert store.is_there(old)
    assert store.is_there(oldest)
    assert not store.is_valid(gone)


def test_a_link_that_is_announced_meanwhile(store: LocalStore) -> None:
    with store.temp_roots.session():
        path = store.add_text("a", b"")

    def act() -> None:
        os.symlink(str(path), f"{store.layout.gcroots}/a")
        store.sync_with_collections()

    store.collect(KEEP, Goal(), before_the_deletion(act))
    assert store.is_there(path)


def test_a_temporary_root_waits_for_the_batch(store: LocalStore) -> None:
    """Added while the collector has the gate, it is added after; then the path isn't told to be valid."""
    path = some_path("x", store.directory)
    added = threading.Event()

    def add() -> None:
        store.add_temp_root(path)
        added.set()

    thread = threading.Thread(target=add)
    with store._parts.gate.alone():
        thread.start()
        assert not added.wait(0.2)
        assert path not in store.temp_roots
    thread.join(PATIENCE)
    assert added.is_set()


def test_users_share_the_gate(store: LocalStore) -> None:
    inside = threading.Barrier(2)

    def use() -> None:
        with store._parts.gate.using():
            inside.wait(PATIENCE)  # only if both are in

    with ThreadPoolExecutor(2) as pool:
        for use_of in [pool.submit(use) for _ in range(2)]:
            use_of.result(PATIENCE)


def test_a_collector_has_its_turn_while_users_come_and_go(store: LocalStore) -> None:
    done = threading.Event()
    gate = store._parts.gate

    def use() -> None:
        while not done.is_set():
            with gate.using():
                pass

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with gate.alone():
                pass
    finally:
        done.set()
        for thread in threads:
            thread.join(PATIENCE)


OTHER = """
import sys
from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
layout = Layout(*sys.argv[1:4])
with LocalStore(layout) as store:
    store.add_temp_root(StorePath.parse(sys.argv[4], layout.store))
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_temporary_roots_of_another_process(layout: Layout, store: LocalStore) -> None:
    with store.temp_roots.session():
        path = store.add_text("a", b"")
    words = [sys.executable, "-c", OTHER, layout.store, layout.state, layout.log, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert store.collect(KEEP, Goal()).deleted == 0
        assert [root.link for root in store.find_roots()] == [f"{{temp:{other.pid}}}"]
        other.kill()
        other.wait(PATIENCE)
        assert len(os.listdir(layout.temproots)) == 2
        assert store.collect(KEEP, Goal()).deleted == 1
        assert len(os.listdir(layout.temproots)) == 1


def test_a_process_that_could_not_write_its_roots_down(
    layout: Layout, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = TempRootFile(layout.temproots)
    try:
        other.add(str(some_path("a", layout.store)))
        store.collect(KEEP, Goal())

        def full(_descriptor: int, _data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("fruix.store.collection.temp_root_file.write_all", full)
        other.add(str(some_path("b", layout.store)))
        monkeypatch.undo()
        other.add(str(some_path("c", layout.store)))
        with pytest.raises(StoreError, match="could not write down"):
            store.collect(KEEP, Goal())
    finally:
        other.close()


def test_the_file_of_temporary_roots_stays_small(layout: Layout, store: LocalStore) -> None:
    (name,) = os.listdir(layout.temproots)
    kept = some_path("kept", layout.store)
    store.add_temp_root(kept)
    for number in range(100):
        with store.temp_roots.session():
            for more in range(100):
                store.add_temp_root(some_path(f"{number}-{more}", layout.store))
    with open(f"{layout.temproots}/{name}", "rb") as file:
        data = file.read()
    assert data.count(b"\0") < 5000
    assert str(kept).encode() in data.split(b"\0")


def test_what_all_sessions_have_let_go_of_another_process_may_delete(
    layout: Layout, store: LocalStore
) -> None:
    """Also when there are few of them: the file of their process holds none of it any more."""
    with store.temp_roots.session():
        path = store.add_text("gone", b"let go of")
        assert str(path) in [root for _, root in OtherProcesses(layout.temproots, "").added()]
    assert list(OtherProcesses(layout.temproots, "").added()) == []
