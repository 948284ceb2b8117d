"""The gate takes few descriptors and few calls, and goes on with the descriptors that it has."""

from __future__ import annotations

import errno
import fcntl
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


def test_users_pass_the_turn_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, calls = Gate(str(tmp_path)), list[int]()
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        calls.append(how)
        real(descriptor, how)

    def used(turn: float) -> int:
        monkeypatch.setattr(gate, "_TURN", turn)
        calls.clear()
        with here.using():
            return len(calls) + 1  # and the end

    with here.using():
        pass
    monkeypatch.setattr(fcntl, "flock", flock)
    assert used(3600.0) == 2
    assert used(0.0) == 4
    here.close()


def test_the_collector_has_its_turn_while_users_come_and_go(tmp_path: Path) -> None:
    here, enough = Gate(str(tmp_path)), threading.Event()
    counts = [0, 0, 0]

    def use(number: int) -> None:
        while not enough.is_set():
            with here.using():
                counts[number] += 1

    users = [threading.Thread(target=use, args=(number,)) for number in range(len(counts))]
    for user in users:
        user.start()
    try:
        until(lambda: min(counts) > 0, "both to have been inside")
        for _ in range(3):
            with here.alone():
                pass
    finally:
        enough.set()
        for user in users:
            user.join()
    here.close()
