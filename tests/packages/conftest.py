"""Where phases run as an ordinary user, for tests that have no build area of their own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.build_area import BuildArea

NOBODY = 65534


@pytest.fixture
def area() -> Iterator[BuildArea]:
    """A build area of an ordinary user, whom modes bind.

    pytest's own directories are closed to others.
    """
    with tempfile.TemporaryDirectory(prefix="fruix-area-") as directory:
        os.chmod(directory, 0o755)
        area = BuildArea(Path(directory) / "a-dash")  # the store's directory too
        area.user = NOBODY if os.getuid() == 0 else os.getuid()
        for path in (area.top, area.build, area.store, area.tools):
            os.chown(path, area.user, -1)
        yield area
        subprocess.run(["chmod", "-R", "u+rwX", directory], check=True)
