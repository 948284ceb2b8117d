"""The gate takes few descriptors, and goes on with those that it has where there are no more."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from fruix.store.collection import gate
from fruix.store.collection.gate import Gate
from waiting import until


def descriptors(place: Path) -> int:
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(os.path.exists(link) and os.readlink(link).startswith(f"{place}/gc.") for link in links)


def test_a_crowd_takes_few_descriptors(tmp_path: Path) -> None:
    here, leave = Gate(str(tmp_path)), threading.Event()
    inside: list[int] = []

    def use() -> None:
        with here.using():
            inside.append(1)
            leave.wait()

    crowd = [threading.Thread(target=use) for _ in range(3 * gate._MOST)]
    for thread in crowd:
        thread.start()
    until(lambda: len(inside) == gate._MOST, "as many to be inside as may")
    assert descriptors(tmp_path) == 2 * gate._MOST
    leave.set()
    for thread in crowd:
        thread.join()
    assert len(inside) == len(crowd)
    with here.alone():
        assert descriptors(tmp_path) == 2 * gate._MOST
    here.close()
    assert descriptors(tmp_path) == 0


def test_without_descriptors_users_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, entered = Gate(str(tmp_path)), threading.Event()

    def refuse(_gate: Gate) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    def use() -> None:
        with here.using():
            entered.set()

    monkeypatch.setattr(Gate, "_open", refuse)
    with here.using():
        thread = threading.Thread(target=use)
        thread.start()
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()
    here.close()
