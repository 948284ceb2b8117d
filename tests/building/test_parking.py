"""When the spawner is asked to have a sandbox ready, and what is noted of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fruix.building.parking import PREFIX, Parking, of_running_daemons
from fruix.sandbox import Journal
from fruix.sandbox.back_ends import current
from fruix.sandbox.spawner.ipc import ParkRequest

pytestmark = pytest.mark.skipif(not current().parks, reason="machine: nothing stands ready here")


class Asked:
    """In the place of the spawner and of what leads to it."""

    def __init__(self, error: OSError | None = None) -> None:
        self.requests: list[ParkRequest] = []
        self.ended = False
        self._error = error

    def park(self, request: ParkRequest) -> Any:
        if self._error is not None:
            raise self._error
        self.requests.append(request)
        return self

    def prepare(self, request: ParkRequest) -> None:
        self.requests.append(request)

    def finish(self) -> None:
        self.ended = True


def parking(asked: Asked, place: Path) -> Parking:
    return Parking(asked, Journal(f"{place}/journal"), str(place), "0123456789abcdef")  # type: ignore[arg-type]


def test_a_note_stands_from_the_first_time_to_the_end(tmp_path: Path) -> None:
    asked = Asked()
    one = parking(asked, tmp_path)
    for _ in range(2):
        with one.build() as sandbox:
            sandbox.prepare()
    (name,) = of_running_daemons(str(tmp_path))
    assert name.startswith(f"{PREFIX}01234567-")
    assert asked.requests == [ParkRequest(name, f"{tmp_path}/parked")] * 2
    assert os.listdir(tmp_path / "journal") == [f"{name}.json"]
    one.close()
    one.close()
    with one.build() as sandbox:
        sandbox.prepare_early()
        sandbox.prepare()
    assert (len(asked.requests), asked.ended) == (2, True)
    assert sorted(os.listdir(tmp_path)) == ["journal", "journal-spare"]
    assert os.listdir(tmp_path / "journal") == []


def test_not_beside_another_build(tmp_path: Path) -> None:
    asked = Asked()
    one = parking(asked, tmp_path)
    with one.build(), one.build() as sandbox:
        sandbox.prepare()
    assert (asked.requests, os.listdir(tmp_path)) == ([], [])
    with one.build() as sandbox:
        sandbox.prepare()
        with one.build() as other:
            other.prepare_early()
    assert len(asked.requests) == 1


def test_once_for_each_build_when_its_builder_has_ended_or_behind_it(tmp_path: Path) -> None:
    asked = Asked()
    one = parking(asked, tmp_path)
    with one.build() as sandbox:
        sandbox.prepare_early()
        assert asked.requests == [], "the first is asked for when nobody waits"
        sandbox.prepare()
    assert len(asked.requests) == 1
    with one.build() as sandbox:
        for _ in range(2):  # rounds
            sandbox.prepare_early()
            assert len(asked.requests) == 2
        sandbox.prepare()
    assert len(asked.requests) == 2


def test_nothing_is_noted_of_what_could_not_be_asked(tmp_path: Path) -> None:
    one = parking(Asked(BrokenPipeError()), tmp_path)
    with pytest.raises(BrokenPipeError), one.build() as sandbox:
        sandbox.prepare()
    assert os.listdir(tmp_path / "journal") == []
