"""Collections that end in the middle: by a signal, by an error, for want of space, or by request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fruix.errors import FruixError, StoreError
from fruix.model.garbage import GarbageEvent, Goal, Keep, Step
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.tree.interruption import interruptible
from store.helpers import being_made

KEEP = Keep()
COUNT = 600  # more than two batches

# Dies at the N-th call of a method.
DYING = """
import importlib, os, signal, sys
from fruix.model.garbage import Goal, Keep
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
module, kind, name, when = sys.argv[4:]
owner = getattr(importlib.import_module(module), kind)
method, calls = getattr(owner, name), 0
def dying(*arguments, **more):
    global calls
    calls += 1
    if calls == int(when):
        os.kill(os.getpid(), signal.SIGKILL)
    return method(*arguments, **more)
with LocalStore(Layout(*sys.argv[1:4])) as store:
    setattr(owner, name, dying)
    store.collect(Keep(), Goal())
"""
POINTS = {
    "look": ("fruix.store.collection.graph", "Graph", "__init__", "1"),
    "rows": ("fruix.store.collection.collector", "Collector", "_forget", "2"),
    "log": ("fruix.store.database_file", "DatabaseFile", "sync_log", "2"),
    "move": ("fruix.store.objects.staging", "Staging", "take", "300"),
    "moved": ("fruix.store.collection.shredder", "Shredder", "shred", "1"),
    "delete": ("fruix.store.objects.staging", "Staging", "drop", "400"),
    "reserve": ("fruix.store.database_file", "DatabaseFile", "reserve", "1"),
}


def fill(store: LocalStore) -> None:
    with store.temp_roots.session():
        paths = [store.add_text("0", b"")]
        for number in range(1, COUNT):
            paths.append(store.add_text(str(number), b"x" * number, paths[-2:]))
        os.symlink(str(paths[2]), f"{store.layout.gcroots}/kept")


def check(store: LocalStore) -> None:
    """What is valid is whole, and the next collection finishes."""
    assert store.verify(contents=True) == []
    store.collect(KEEP, Goal())
    assert store.verify(contents=True) == []
    assert {path.base for path in store.all_valid_paths()} == set(os.listdir(store.directory))
    assert len(store.all_valid_paths()) == 3
    assert being_made(store.layout) == []


@pytest.mark.parametrize("point", POINTS)
def test_killed(layout: Layout, point: str) -> None:
    with LocalStore(layout) as store:
        fill(store)
    words = [sys.executable, "-c", DYING, layout.store, layout.state, layout.log, *POINTS[point]]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with LocalStore(layout) as store:
        check(store)


def test_given_up_between_two_batches(store: LocalStore) -> None:
    fill(store)
    steps: list[Step] = []

    def report(event: GarbageEvent) -> None:
        if isinstance(event, Step):
            steps.append(event)

    def why() -> FruixError | None:
        return FruixError("the client has gone") if steps else None

    with pytest.raises(FruixError, match="the client has gone"), interruptible(why):
        store.collect(KEEP, Goal(), report)
    assert len(steps) == 1
    assert len(store.all_valid_paths()) == COUNT - len(steps[0].paths)
    check(store)


def test_an_error_of_the_database(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)

    def fail() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store.database, "sync_log", fail)
    with pytest.raises((OSError, StoreError)):
        store.collect(KEEP, Goal())
    monkeypatch.undo()
    check(store)


@pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="machine: a small disk needs root"
)
def test_a_full_disk(tmp_path: Path) -> None:
    base = os.path.realpath(tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", base], check=True)
    try:
        with LocalStore(Layout(f"{base}/store", f"{base}/state", f"{base}/log")) as store:
            fill(store)
            with suppress(OSError), open(f"{base}/fill", "wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
            assert os.statvfs(base).f_bavail == 0
            check(store)
            assert os.statvfs(base).f_bavail > 0
    finally:
        subprocess.run(["umount", base], check=True)
