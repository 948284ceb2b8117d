"""A host of its own for each test that wants one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostview.places import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)
