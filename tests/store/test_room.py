"""Additions leave free what has to stay free, with few looks at the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from fruix.errors import NoSpaceError
from fruix.store.room import PERIOD, STEP, STEP_FILES, Limits, Room

MIB = 1 << 20


class Disk:
    """What the system says of file systems, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = {"/store": 1000 * MIB, "/state": 1000 * MIB}
        self.files = 10**6
        self.all_files = 10**7
        self.looks: list[str] = []
        self.now = 0.0
        monkeypatch.setattr(os, "statvfs", self._statvfs)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def _statvfs(self, directory: str) -> SimpleNamespace:
        self.looks.append(directory)
        return SimpleNamespace(
            f_bavail=self.free[directory] // 4096, f_frsize=4096, f_favail=self.files, f_files=self.all_files
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def until_refused(spend: Callable[[], object], most: int = 10**6) -> int:
    for count in range(most):
        try:
            spend()
        except NoSpaceError:
            return count
    raise AssertionError("never refused")


def test_small_texts_cost_hardly_a_look(disk: Disk) -> None:
    one = Room(["/store", "/state"], Limits(min_free=64 * MIB, min_free_files=1000))
    for _ in range(1000):
        one.spend(3000)
    assert disk.looks == ["/store", "/state"]


def test_a_look_is_not_believed_for_long(disk: Disk) -> None:
    one = Room(["/store"], Limits(min_free=64 * MIB))
    one.spend(1)
    disk.free["/store"] = 64 * MIB
    one.spend(1)
    disk.now = PERIOD + 1
    with pytest.raises(NoSpaceError):
        one.spend(1)
    disk.free["/store"] = 65 * MIB
    one.spend(1)  # after a refusal it looks again at once


@pytest.mark.parametrize("full", ["/store", "/state"])
def test_bytes(disk: Disk, full: str) -> None:
    one = Room(["/store", "/state"], Limits(min_free=64 * MIB))
    disk.free[full] = 80 * MIB

    def spend() -> None:
        one.spend(100_000)
        disk.free[full] -= 100_000

    assert 100 < until_refused(spend) <= 16 * MIB // 100_000
    assert disk.free[full] >= 64 * MIB
    with pytest.raises(NoSpaceError) as caught:
        one.spend(10 * MIB)
    assert str(caught.value).startswith(f"{full}: no space for additions: 64.")
    assert "MiB are free, and 64.0 MiB have to stay free (setting 'min-free')" in str(caught.value)
    assert "free some space there" in caught.value.hint


def test_files(disk: Disk) -> None:
    one = Room(["/store"], Limits(min_free_files=1000))
    disk.files = 5000

    def spend() -> None:
        one.spend(10)
        disk.files -= 1

    assert until_refused(spend) == 4000
    with pytest.raises(
        NoSpaceError,
        match=r"1000 more files can be made, and 1000 have to stay possible \(setting 'min-free-files'\)",
    ):
        one.spend(10)
    disk.all_files = 0  # this file system doesn't count them
    one.spend(10)


def test_large_pieces(disk: Disk) -> None:
    one = Room(["/store"], Limits(min_free=64 * MIB, min_free_files=10))
    one.spend(2 * STEP, 2 * STEP_FILES)
    disk.free["/store"] = 64 * MIB + STEP
    with pytest.raises(NoSpaceError):
        one.spend(2 * STEP)


def test_no_limit_is_no_look(disk: Disk) -> None:
    Room(["/store"], Limits()).spend(1 << 50, 1 << 50)
    assert disk.looks == []


def test_trees_are_taken_for_many_small_files(disk: Disk) -> None:
    one = Room(["/store"], Limits(min_free_files=10))
    disk.files = 300
    chunks = [bytes(1 << 16)] * 2
    assert list(one.spending(chunks, tree=False)) == chunks
    with pytest.raises(NoSpaceError):
        next(one.spending(chunks, tree=True))
    disk.files = 400
    assert next(one.spending(chunks, tree=True)) == chunks[0]
