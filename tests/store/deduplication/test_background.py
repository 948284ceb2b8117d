"""A queue of paths and the threads that work on them."""

from __future__ import annotations

import threading

import pytest

from fruix.errors import StoreError
from fruix.model.storepath import StorePath
from fruix.store.deduplication.background import Background
from fruix.store.deduplication.rules import LARGE
from fruix.store.local import LocalStore
from fruix.store.tree.interruption import check_interrupt, interruptible
from store.helpers import some_path
from waiting import PATIENCE

PATHS = [some_path(f"p{number}", "/frx/store") for number in range(20)]
WORK = [(path, b"") for path in PATHS]


def test_waiting_is_for_what_came_before() -> None:
    go_on = threading.Event()
    done: list[StorePath] = []

    def work(path: StorePath, _archive_hash: bytes) -> None:
        if path == PATHS[-1]:
            assert go_on.wait(PATIENCE)
        done.append(path)

    background = Background(work, 2)
    background.wait()  # for nothing
    background.add(WORK[:10])
    background.wait()
    assert sorted(done) == sorted(PATHS[:10])
    background.add(WORK[-1:])
    with pytest.raises(StoreError, match="gone"), interruptible(lambda: StoreError("gone")):
        background.wait()
    go_on.set()
    background.wait()
    assert done[-1] == PATHS[-1]
    background.close()


def test_small_paths_wake_nobody(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[object] = []
    monkeypatch.setattr(store, "_rules", LARGE)
    monkeypatch.setattr(store._background, "add", woken.append)
    store.add_text("small", b"text")
    assert woken == []
    store.add_text("large", b"x" * LARGE.least)
    assert len(woken) == 1


def test_an_error_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    done: list[StorePath] = []

    def work(path: StorePath, _archive_hash: bytes) -> None:
        if path == PATHS[0]:
            raise OSError(5, "Input/output error")
        done.append(path)

    background = Background(work, 1)
    background.add(WORK[:3])
    background.wait()
    background.close()
    assert done == PATHS[1:3]
    assert f"{PATHS[0]}: [Errno 5] Input/output error" in caplog.text


def test_the_end_gives_up_what_runs_and_forgets_what_waits() -> None:
    begun = threading.Event()
    seen: list[StorePath] = []

    def work(path: StorePath, _archive_hash: bytes) -> None:
        seen.append(path)
        begun.set()
        pause = threading.Event()
        for _ in range(int(PATIENCE * 100)):
            check_interrupt()
            pause.wait(0.01)
        raise AssertionError("not interrupted")

    background = Background(work, 1)
    background.add(WORK)
    assert begun.wait(PATIENCE)
    background.close()
    assert seen == PATHS[:1]
    background.wait()  # returns at once
