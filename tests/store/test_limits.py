"""Very many files, very large ones and very many paths take no more memory than few of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruix.store.deduplication.rules import Rules
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.tree.copy import copy_tree
from fruix.store.tree.delete import delete_tree
from store.helpers import write_file
from store.limits import FILES, PATHS, SPARSE, memory_below, peak_of
from store.many_paths import fill

MIB = 1 << 20
# Names of one directory are sorted, so they are held.
NAME = 200


@pytest.mark.parametrize("spread", [1, 100], ids=["in one directory", "in hundred directories"])
def test_very_many_files(store: LocalStore, here: int, tmp_path: Path, spread: int) -> None:
    for number in range(spread):
        (tmp_path / "tree" / f"d{number}").mkdir(parents=True)
    for number in range(FILES):
        write_file(tmp_path / "tree" / f"d{number % spread}" / f"file-{number}", b"%d" % (number // 2))
    with memory_below(12 * MIB + NAME * FILES // spread):
        path = store.add_path("tree", str(tmp_path / "tree"))
        assert sum(map(len, store.nar(path))) > FILES * 100
        copy_tree(here, b"tree", here, b"copy")
        assert store.optimise(Rules(clones=False)).files == FILES // 2
        assert store.verify(contents=True) == []
        for name in (b"tree", b"copy"):
            delete_tree(here, name)
        store.database.remove([path])
        store.delete_unregistered(path)


def test_a_very_large_file(store: LocalStore, here: int, tmp_path: Path) -> None:
    descriptor = os.open(b"sparse", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.truncate(descriptor, SPARSE)
    os.pwrite(descriptor, b"end", SPARSE - 3)
    os.close(descriptor)
    with memory_below(48 * MIB):  # pieces of 1 MiB, 16 of which wait for the thread that hashes them
        path = store.add_path("sparse", str(tmp_path / "sparse"))
        assert sum(map(len, store.nar(path))) > SPARSE
        assert store.verify(contents=True) == []
        store.optimise()


QUESTIONS = """
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.many_paths import paths
layout = Layout({store!r}, {state!r}, {log!r})
with LocalStore(layout) as store:
    few = paths(layout.store, range(1, 1001))
    assert len(store.valid_paths(few)) == 1000
    last = paths(layout.store, [{count}])[0]
    assert len(store.closure([last])) == ({count}).bit_length()
    assert len(store.closure_infos([last])) == ({count}).bit_length()
    assert store.path_info(last).path == last
    assert store.references(last) == paths(layout.store, [{count} // 2])
    assert set(store.referrers(few[9])) == set(paths(layout.store, [20, 21]))
    assert store.from_hash_part(last.hash_part) == last
    assert store.valid_derivers(last) == []
    assert store.count() == {count}
    assert sum(1 for _ in store.database.registered_after(0)) == {count}
    row = store.last_row()
    text = store.add_text("text", b"text", [last])
    assert store.is_valid(text)
    assert store.optimise(after=row).files == 0
    for row, path in store.database.rows_after({count} - 10, 5):
        assert path in paths(layout.store, [row])
"""


def test_very_many_paths(tmp_path: Path) -> None:
    """Opening the store, questions about some of them, adding: as with few, SQLite's memory included."""
    peaks = []
    for count in (1200, PATHS):
        top = f"{os.path.realpath(tmp_path)}/{count}"
        layout = Layout(f"{top}/store", f"{top}/state", f"{top}/log")
        fill(layout, count)
        peaks.append(
            peak_of(QUESTIONS.format(store=layout.store, state=layout.state, log=layout.log, count=count))
        )
    few, many = peaks
    assert many - few < 8 * MIB
