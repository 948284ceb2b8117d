"""What a dry run writes, in calls."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any

import pytest

from fruix.cli.commands import build, why_rebuild
from fruix.cli.request import watched
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.model.storepath import StorePath

MANY = 1000
OPTIONS = argparse.Namespace(json=False, check=False, repair=False, rounds=1)


class Counted(io.StringIO):
    """Counts what would be calls of the system: a line of standard error is written at once."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_a_long_listing_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(
        PlannedBuild(StorePath(f"/frx/store/{n:032}-p-{n}.drv"), missing=("out",)) for n in range(MANY)
    )
    stream = Counted()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(watched, "_host_changed", lambda _store, _plan: None)
    monkeypatch.setattr(why_rebuild, "reasons", lambda _store, _rows: {})
    store: Any = None
    assert build._dry_run(store, BuildPlan(rows), OPTIONS) == 0
    assert stream.getvalue().count("missing: output 'out'") == MANY
    assert stream.writes <= 5
