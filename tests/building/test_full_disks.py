"""Builders that fill a disk, or use up its inodes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from building.hostile import end_of, settings
from fruix.building.limits import Limits, Watch
from fruix.model.buildresult import BuildStatus
from fruix.model.events import Note
from machine import Machine, left_over, machine

pytestmark = pytest.mark.usefixtures("each_back_end")


@contextmanager
def small_disk(here: Machine, options: str) -> Iterator[None]:
    """The builds directory on a file system of its own."""
    builds = here.store.layout.builds
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "none", builds], check=True)
    try:
        yield
    finally:
        # Lazily: the jail that stands ready for a next build has its root there.
        subprocess.run(["umount", "--lazy", builds], check=True)


def test_a_disk_that_fills(tmp_path: Path) -> None:
    with machine(settings(min_free=20 << 20)) as here, small_disk(here, "size=64m"):
        # It takes what brings the disk below the limit, and without failing by itself waits to be seen.
        script = "dd if=/dev/zero bs=1M count=50 2>/dev/null > big; echo took it; sleep 1000"
        result = end_of(here, tmp_path, script)
        assert f"killed because less than {20 << 20} bytes were left on the disk of '" in result.message
        assert result.status is BuildStatus.TRANSIENT_FAILURE
        assert left_over(here.store) == []
        honest = here.derivation("honest", "echo x > $out", here.shell(tmp_path))
        assert here.build(honest)[0].success


def test_a_disk_that_is_full_at_once(tmp_path: Path) -> None:
    with machine(settings(min_free=0)) as here, small_disk(here, "size=16m"):
        result = end_of(here, tmp_path, "cat /dev/zero > big")
        assert "builder failed with exit code 1" in result.message
        assert result.status is BuildStatus.TRANSIENT_FAILURE
        said = [event.text for event in here.events if isinstance(event, Note)]
        assert said == ["note: build failure may have been caused by lack of free disk space"]


def test_inodes_without_end(tmp_path: Path) -> None:
    with machine(settings(min_free=0, min_free_files=500)) as here, small_disk(here, "nr_inodes=3000"):
        script = "i=0; while [ $i -lt 2700 ]; do : > f$i; i=$((i+1)); done; echo made them; sleep 1000"
        result = end_of(here, tmp_path, script)
        assert "killed because less than 500 files could still be made on the disk of '" in result.message


def test_inodes_that_are_gone_at_once(tmp_path: Path) -> None:
    with machine(settings(min_free=0, min_free_files=0)) as here, small_disk(here, "nr_inodes=3000"):
        result = end_of(here, tmp_path, "i=0; while :; do : > f$i; i=$((i+1)); done")
        assert result.status is BuildStatus.TRANSIENT_FAILURE
        said = [event.text for event in here.events if isinstance(event, Note)]
        assert said == ["note: build failure may have been caused by lack of free disk space"]


def test_disks_are_looked_at_one_by_one(tmp_path: Path) -> None:
    assert Watch(Limits(), 0, [str(tmp_path)])() is None
    found: Any = Watch(Limits(min_free=1 << 62), 0, [str(tmp_path)])()
    assert found == {"kind": "disk", "limit": 1 << 62, "path": str(tmp_path)}
