"""What happens to a store while files are replaced: readers, deletions, crashes, what is on disk when."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fruix.store import flags
from fruix.store.deduplication.links import remove_unused_links
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.tree.dump import dump
from fruix.store.tree.file_contents import SizeBudget
from store.deduplication.trees import BIG, LINKED, add_tree, inode
from store.helpers import file_archive, write_file

pytestmark = pytest.mark.usefixtures("no_clones")


def test_a_reader_takes_the_file_that_has_the_name_when_it_opens_it(here: int, tmp_path: Path) -> None:
    """Between a look at a file and its opening, another with the same contents may get its name."""
    for name in ("f", "equal"):
        write_file(tmp_path / name, BIG)

    class Replacing(SizeBudget):
        def spend(self, size: int, where: str) -> None:
            super().spend(size, where)
            os.rename(tmp_path / "equal", tmp_path / "f")

    assert b"".join(dump(here, b"f", budget=Replacing())) == file_archive(BIG)


def test_deletion_beside_it_is_no_error(store: LocalStore, tmp_path: Path) -> None:
    paths = [
        add_tree(
            store, tmp_path, f"tree{number}", {f"d/{name}": BIG for name in range(40)} | {"n": b"%d" % number}
        )
        for number in range(20)
    ]
    finished = threading.Event()

    def delete() -> None:
        for path in paths[::2]:
            store.database.remove([path])
            store.delete_unregistered(path)
            remove_unused_links(store._descriptor)
        finished.set()

    deleting = threading.Thread(target=delete)
    deleting.start()
    while not finished.is_set():
        store.optimise(LINKED)
    deleting.join()
    store.optimise(LINKED)
    assert store.verify(contents=True) == []
    kept = {inode(store, path, "d/0").st_ino for path in paths[1::2]}
    assert len(kept) == 1
    for path in paths[1::2]:
        store.database.remove([path])
        store.delete_unregistered(path)
    remove_unused_links(store._descriptor)
    assert os.listdir(store.directory) == []


def test_a_crash_between_leaves_no_directory_with_other_metadata(layout: Layout, tmp_path: Path) -> None:
    script = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from fruix.store.deduplication import replace
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.deduplication.trees import LINKED, add_tree
real = os.rename
def rename(*args, **names):
    real(*args, **names)
    os.kill(os.getpid(), signal.SIGKILL)
with LocalStore(Layout({layout.store!r}, {layout.state!r}, {layout.log!r})) as store:
    add_tree(store, Path({str(tmp_path)!r}), "tree", {{"d/a": b"x" * 9000, "d/b": b"x" * 9000}})
    replace.os.rename = rename
    store.optimise(LINKED)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with LocalStore(layout) as store:
        (path,) = store.all_valid_paths()
        assert store.verify(contents=True) == []
        status = inode(store, path, "d")
        assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o555, 10**9)
        assert store.swept.foreign == []


def test_nothing_older_is_replaced_by_what_is_not_on_disk(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is made from a path behind the sync mark; the other path lies before it."""
    older = store.add_text("older", BIG)
    store.sync()
    store.add_text("newer", BIG)
    mark = store.database.mark()
    newer = next(path for path in store.all_valid_paths() if path != older)
    store._deduplicator.deduplicate(newer, LINKED)  # makes the link
    order: list[str] = []
    real_rename, real_sync = os.rename, flags.sync_file_system

    def rename(*arguments: object, **names: object) -> None:
        order.append("rename")
        real_rename(*arguments, **names)  # type: ignore[arg-type]

    def sync(descriptor: int) -> bool:
        order.append("sync")
        return real_sync(descriptor)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(flags, "sync_file_system", sync)
    assert store._deduplicator.deduplicate(older, LINKED).files == 1
    assert order == ["sync", "rename"]
    assert store.database.mark() > mark
