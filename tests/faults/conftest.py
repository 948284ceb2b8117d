"""The preloaded library, the process that makes trials, and a place for stores in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.trials import Trials, trials
from fruix.store import flags


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-pthread", "-o", built, source], check=True)
    with trials(built) as process:
        yield process


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The directory of a store's parts, which lies in memory where there is room for it."""
    # The many stores that are opened here to be looked at need not wait for the real disk.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(flags, "sync_file_system", lambda _descriptor: True)
    memory = Path("/dev/shm")
    where = tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path)
    yield f"{where}/disk"
    shutil.rmtree(where, ignore_errors=True)
