"""A double of FreeBSD's kernel for one test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from double_bench import Bench
from fruix.sandbox.freebsd import abi
from fruix.sandbox.linux import libc
from machine import own_mounts


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    own_mounts()
    here = Bench(tmp_path)
    yield here
    for row in reversed(here.kernel.getfsstat()):
        if row.target != b"/":
            here.kernel.unmount(row.target, abi.MNT_FORCE)
    for name in os.listdir(f"{tmp_path}/kernel/spaces"):
        libc.umount(f"{tmp_path}/kernel/spaces/{name}".encode(), libc.MNT_DETACH)
