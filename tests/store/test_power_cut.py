"""The power goes at any moment of a store's work.

What was promised is there, what is valid is whole, and work goes on.

SIGKILL keeps the page cache and so can't find a missing sync; here the disk itself forgets (see
`power`). That these tests would notice is shown by leaving out each sync in turn.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.errors import FruixError
from fruix.store import flags
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.power import Recording, restore

WORK = """
from fruix.store import flags, durability as sync
from fruix.store.database import Database
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
sync.INTERVAL = 3600.0
{changes}
os.makedirs(root + "/scratch/tree/sub")
for name in ("a", "sub/b"):
    with open(root + "/scratch/tree/" + name, "w") as file:
        file.write(name * 3000)
os.symlink("a", root + "/scratch/tree/link")
layout = Layout(root + "/store", root + "/state", root + "/log")
store = LocalStore(layout, durability={durability!r}).open()
did()
added = []
def add(path):
    added.append(path)
    if {durability!r} == "strict":
        promised(path)
    did()
for number in range(4):
    add(store.add_text(f"first-{{number}}", b"x" * 100 * number, added[-1:]))
add(store.add_path("tree", root + "/scratch/tree"))
store.sync()
for path in added:
    promised(path)
for number in range(4):
    add(store.add_text(f"second-{{number}}", b"y" * 5000 * number, added[-2:]))
    if number == 1:
        store.database.checkpoint()
        did()
add(store.add_path("again", root + "/scratch/tree"))
store.sync()
for path in added:
    promised(path)
add(store.add_text("third", b"z" * 20000, added[-1:]))
store.database.checkpoint()
did()
add(store.add_text("last", b"z" * 20000, added[-1:]))
store.close()
for path in added:
    promised(path)
"""
# What each omission does is noticed: a promise broken, or a valid path that is not whole.
OMISSIONS = {
    "files": "flags.sync_file_system = lambda descriptor: True",
    "log": "Database.sync_log = lambda self: None",
    "mark too early": (
        "advance = sync.Syncer._advance\n"
        "def early(self):\n"
        "    self._database.set_mark(self._database.last_id())\n"
        "    self._database.sync_log()\n"
        "    advance(self)\n"
        "sync.Syncer._advance = early"
    ),
}


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("power") / "power.so"
    source = Path(__file__).with_name("power.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-pthread", "-o", built, source], check=True)
    return built


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # The many stores that are opened here to be looked at need not wait for the real disk.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(flags, "sync_file_system", lambda _descriptor: True)
    memory = Path("/dev/shm")
    where = tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path)
    yield f"{where}/disk"
    shutil.rmtree(where, ignore_errors=True)


def record(root: str, shim: Path, durability: str = "background", changes: str = "") -> Recording:
    os.mkdir(root)
    return Recording.of(
        f"root = {root!r}\n" + WORK.format(durability=durability, changes=changes), root, shim
    )


def troubles(recording: Recording, root: str, each: int, seed: int = 1) -> Iterator[str]:
    """What is wrong with the store on the disks that the power cuts leave."""
    layout = Layout(f"{root}/store", f"{root}/state", f"{root}/log")
    for moment, disk in recording.states(each, seed):
        restore(disk, root)
        try:
            with LocalStore(layout) as store:
                yield from store.verify(contents=True)
                valid = {str(path) for path in store.all_valid_paths()}
                yield from (f"lost: {path}" for path in sorted(moment.promised - valid))
                if not store.is_valid(store.add_text("afterwards", b"x")):
                    yield "can't go on"
        except FruixError as error:
            yield f"can't be opened: {error}"


@pytest.mark.parametrize("durability", ["background", "strict"])
def test_nothing_promised_is_lost_and_what_is_valid_is_whole(root: str, shim: Path, durability: str) -> None:
    recording = record(root, shim, durability)
    assert len(recording.moments) > 60
    assert len(recording.moments[-1].promised) == 12
    assert list(troubles(recording, root, each=3)) == []


@pytest.mark.parametrize("what", OMISSIONS)
def test_each_omission_would_be_noticed(root: str, shim: Path, what: str) -> None:
    recording = record(root, shim, changes=OMISSIONS[what])
    assert next(troubles(recording, root, each=6), None) is not None
