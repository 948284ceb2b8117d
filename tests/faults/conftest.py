"""The preloaded library, the process that makes trials, and a place for stores in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.looking import counted
from faults.trials import Trials, trials
from fruix.store import flags

WHAT = {
    "records": "records of work",
    "changes": "changes of files in them",
    "cuts": "moments at which the power went",
    "disks": "disks that this could leave, each opened, verified and collected",
    "kills": "kills",
    "errors": "errors of the disk",
    "mutations": "mutations",
}


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


@pytest.fixture(autouse=True)
def _figures(record_property: Callable[[str, object], None]) -> Iterator[None]:
    counted.clear()
    yield
    for name, number in counted.items():
        record_property(name, number)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what was tried, by all workers together."""
    found = Counter[str]()
    for report in terminalreporter.stats.get("", ()):
        if report.when == "teardown" and "faults/" in report.nodeid:
            found.update({name: number for name, number in report.user_properties if name in WHAT})
    for name, what in WHAT.items():
        if found[name]:
            terminalreporter.write_line(f"{found[name]:8} {what}")
