"""Where objects are made when nothing can be renamed into the store from the state directory."""

from __future__ import annotations

import os

import pytest

from fruix.model.garbage import Goal, Keep
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.objects.staging import Staging


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_best_place_that_reaches_the_store(
    layout: Layout, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaches = Staging._reaches_store
    tries: list[Staging] = []

    def only_there(staging: Staging) -> bool:
        tries.append(staging)
        return len(tries) > place and reaches(staging)

    monkeypatch.setattr(Staging, "_reaches_store", only_there)
    with LocalStore(layout) as store:
        assert len(os.listdir(layout.staging[place])) == 1
        with store.temp_roots.session():
            path = store.add_text("a", b"")
        assert store.is_there(path)
        store.collect(Keep(), Goal())
        assert os.listdir(layout.store) == ([".staging"] if place == 2 else [])
    assert [name for name in layout.staging if os.path.lexists(name)] == [layout.staging[0]]
    assert os.listdir(layout.staging[0]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: giving files away needs root")
def test_a_place_of_somebody_else_is_not_used(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(layout.staging[1])
    os.chown(layout.staging[1], 12345, 12345)
    reaches = Staging._reaches_store
    tries: list[Staging] = []

    def not_at_first(staging: Staging) -> bool:
        tries.append(staging)
        return len(tries) > 1 and reaches(staging)

    monkeypatch.setattr(Staging, "_reaches_store", not_at_first)
    with LocalStore(layout):
        assert os.listdir(layout.staging[1]) == []
        assert len(os.listdir(layout.staging[2])) == 1
