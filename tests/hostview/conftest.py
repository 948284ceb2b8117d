"""A host of its own for each test that wants one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.hostview import owners
from hostview.places import Place
from hostview.records import FOREIGN, HEADERS


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


@pytest.fixture
def headers(place: Place) -> None:
    """Headers of the C library and of two others; nobody knows yet whose."""
    for name in (*HEADERS, *FOREIGN):
        place.file(name, mode=0o644)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without a package manager, whatever this one has."""
    monkeypatch.setattr(owners, "RECORDS", ())
    monkeypatch.setattr(owners, "RPM", "/nowhere/rpm")
