"""Collections that begin by themselves."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fruix.model.garbage import Collected, Goal, Keep
from fruix.store.collection.automatic import AutomaticCollection
from fruix.store.local import LocalStore
from waiting import until


def test_it_begins_when_too_little_is_free(store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    free = [1000]
    with store.temp_roots.session():
        paths = [store.add_text(name, b"x" * 100) for name in ("a", "b")]
    looked: list[str] = []

    def space(directory: str) -> int:
        looked.append(directory)
        return free[0]

    automatic = AutomaticCollection(store, Keep(), below=1000, period=0.01, free=space)
    with caplog.at_level(logging.WARNING):
        automatic.start()
        try:
            until(lambda: len(looked) > 3, "it looks")
            assert all(map(store.is_valid, paths))
            free[0] = 999
            until(lambda: not store.all_valid_paths(), "a collection")
        finally:
            automatic.stop()
    assert "2 paths deleted" in caplog.text
    assert looked[0] == store.directory


def test_it_stops_where_enough_is_free(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    goals: list[Goal] = []

    def collect(_keep: Keep, goal: Goal) -> Collected:
        goals.append(goal)
        return Collected()

    monkeypatch.setattr(store, "collect", collect)
    automatic = AutomaticCollection(store, Keep(), below=10, until=20, period=0.01, free=lambda _: 9)
    automatic.start()
    try:
        until(lambda: goals, "a collection")
    finally:
        automatic.stop()
    assert goals[0].min_free == 20


class MissingOnce:
    """`os.statvfs` of a directory that isn't there when it is first asked for."""

    def __init__(self) -> None:
        self.calls = 0
        self._real = os.statvfs

    def __call__(self, directory: str) -> os.statvfs_result:
        self.calls += 1
        if self.calls == 1:
            raise FileNotFoundError
        return self._real(directory)


def test_nobody_closes_the_store_meanwhile_and_its_absence_is_no_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = [0]
    seen: list[int] = []
    monkeypatch.setattr(os, "statvfs", missing := MissingOnce())

    @contextmanager
    def using() -> Iterator[None]:
        inside[0] += 1
        yield
        inside[0] -= 1

    def collect(_keep: Keep, _goal: Goal) -> Collected:
        seen.append(inside[0])
        return Collected()

    monkeypatch.setattr(store, "collect", collect)
    automatic = AutomaticCollection(store, Keep(), below=1 << 62, period=0.01, using=using)
    automatic.start()
    try:
        until(lambda: seen, "a collection")
    finally:
        automatic.stop()
    assert seen[0] == 1
    assert missing.calls > 1
