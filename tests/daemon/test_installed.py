"""A daemon whose program was replaced goes on with what it has loaded, and loads nothing of another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fruix
from fruix.client import RemoteStore, connect
from fruix.errors import FruixError, UnreachableError
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from machine import private_frx

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

SOCKET, STORE = "/frx/state/daemon-socket/socket", "/frx/store"
REPLACED = "replaced by another version"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Path]:
    """A copy of Fruix."""
    shutil.copytree(Path(fruix.__file__).parent, tmp_path / "fruix", ignore=shutil.ignore_patterns("*.pyc"))
    with private_frx():
        yield tmp_path


@contextmanager
def daemon(program: Path) -> Iterator[None]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(program),
        "FRUIX_STORE_DIR": STORE,
        "FRUIX_STATE_DIR": "/frx/state",
        "FRUIX_LOG_DIR": "/frx/log",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "fruix", "daemon"], cwd="/", env=environment, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                connect(SOCKET, STORE).close()
                break
            except UnreachableError:
                assert process.poll() is None
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def replace(program: Path) -> None:
    """As an upgrade does."""
    file = program / "fruix" / "__init__.py"
    (program / "new").write_text(file.read_text())
    (program / "new").rename(file)


def build(store: RemoteStore) -> str:
    ((_, result),) = store.build([DerivedPath(StorePath.of(STORE, f"{'0' * 32}-a.drv"), ("out",))])
    return result.message


def test_what_is_loaded_goes_on_and_a_restart_has_the_rest(program: Path) -> None:
    with daemon(program):
        with connect(SOCKET, STORE) as store:
            text = store.add_text("a", b"b")
        replace(program)
        with connect(SOCKET, STORE) as store:
            assert store.is_valid(text)
            with pytest.raises(FruixError, match=REPLACED):
                build(store)
            assert store.is_valid(text)
    with daemon(program), connect(SOCKET, STORE) as store:
        assert "replaced" not in build(store)


def test_not_even_tables_of_requests_come_from_another_version(program: Path) -> None:
    with daemon(program):
        replace(program)
        with pytest.raises(FruixError, match=REPLACED), connect(SOCKET, STORE) as store:
            store.is_valid(StorePath.of(STORE, f"{'0' * 32}-a"))
