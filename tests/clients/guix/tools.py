"""Busybox as a directory that a derivation's builder can use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from machine import BUSYBOX


def busybox_tools(directory: Path) -> Path:
    """Fill an empty directory with `bin/busybox` and its names; return it."""
    (directory / "bin").mkdir()
    shutil.copy(BUSYBOX, directory / "bin/busybox")
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            (directory / "bin" / name).symlink_to("busybox")
    return directory
