"""Whether a start looks for what builds of a crashed daemon left."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.building.crashed import left_something
from fruix.store.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(f"{tmp_path}/store", f"{tmp_path}/state", f"{tmp_path}/log")
    for name in ("journal", "points", "parked"):
        Path(found.builds, name).mkdir(parents=True)
    Path(found.kept, "1000").mkdir(parents=True)
    return found


def test_what_lasts_is_not_left(layout: Layout, tmp_path: Path) -> None:
    assert not left_something(layout)
    assert not left_something(Layout(f"{tmp_path}/other", f"{tmp_path}/none", f"{tmp_path}/log"))


@pytest.mark.parametrize("name", ["builds/frx-x", "builds/journal/frx-x.json", "kept/.new-1", "builds/roots"])
def test_anything_else_is_looked_at(layout: Layout, name: str) -> None:
    Path(layout.state, name).mkdir()
    assert left_something(layout)
