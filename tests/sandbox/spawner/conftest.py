"""A spawner, and programs for what it runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import BUSYBOX
from ready_sandboxes import Here, spawning


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("programs") / "bin"
    place.mkdir()
    shutil.copy(BUSYBOX, place / "busybox")
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            (place / applet).symlink_to("busybox")
    return place


@pytest.fixture
def here(tmp_path: Path, programs: Path) -> Iterator[Here]:
    with spawning(tmp_path, programs) as one:
        yield one
