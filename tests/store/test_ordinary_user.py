"""A store whose process isn't root: read-only directories can be moved and changed nevertheless."""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fruix.store.layout import Layout
from fruix.store.local import LocalStore

NOBODY = 65534


@pytest.fixture
def base() -> Iterator[str]:
    """A directory of nobody's that nobody can reach."""
    path = tempfile.mkdtemp(dir="/tmp")
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def as_nobody(work: Callable[[], None]) -> None:
    """Do that in a process without root; what it raises is an error here."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
            status = 0
        except BaseException:  # noqa: BLE001 (the status tells)
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def work(base: str) -> None:
    """Add two trees, deduplicate them, delete them."""
    os.makedirs(f"{base}/tree/sub")
    with open(f"{base}/tree/sub/file", "wb") as file:
        file.write(b"same" * 3000)
    with LocalStore(Layout(f"{base}/store", f"{base}/state", f"{base}/log")) as store:
        paths = [store.add_path(name, f"{base}/tree") for name in ("one", "two")]
        assert store.optimise().files == 1
        assert len({os.stat(f"{path}/sub/file").st_ino for path in paths}) == 1
        assert store.verify(contents=True) == []
        store.database.remove(paths)
        for path in paths:
            store.delete_unregistered(path)
        assert set(os.listdir(store.directory)) <= {".links"}


def test_trees_are_added_deduplicated_and_deleted(base: str, tmp_path: Path) -> None:
    work(str(tmp_path))  # imports everything: nobody may be unable to
    as_nobody(lambda: work(base))
