"""What a small file costs that is verified: calls of Python's functions, and of the system; and a big one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fruix.model.finding import FindingKind
from fruix.store.local import LocalStore
from fruix.store.tree.hashing import INLINE
from fruix.store.verification.objects import Inspector
from store.deduplication.test_cost import calls
from store.helpers import info_of

# For each file of a tree, and for each of many small objects: 22 and 7, 22 and 5 while trees were walked
# node by node and differences listed where there are none.
MOST = {"tree": (2.1, 4.1), "objects": (13, 4.1)}
FEW, MANY = 20, 220


def cost(store: LocalStore, tmp_path: Path, what: str, many: int) -> tuple[int, int]:
    """The calls for so many files: of one tree, or each an object."""
    if what == "tree":
        source = tmp_path / str(many)
        source.mkdir()
        for index in range(many):
            (source / str(index)).write_bytes(b"x" * index)
        paths = [store.add_path(f"tree{many}", str(source))]
    else:
        paths = [store.add_text(f"text{many}-{index}", b"x" * index) for index in range(many)]
    registered = [row for path in paths if (row := store.database.contents(str(path))) is not None]
    inspector = Inspector(store.database, store._descriptor, contents=True)
    assert inspector.inspect(registered) == []  # what is done once
    return calls(lambda: inspector.inspect(registered))


@pytest.mark.parametrize("what", MOST)
def test_calls_for_a_small_file(store: LocalStore, tmp_path: Path, what: str) -> None:
    few, many = (cost(store, tmp_path, what, count) for count in (FEW, MANY))
    grown = [(after - before) / (MANY - FEW) for before, after in zip(few, many, strict=True)]
    assert [one <= most for one, most in zip(grown, MOST[what], strict=True)] == [True, True], grown


def test_a_big_file_is_hashed_where_it_is_read(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a thread for each processor already; one more for hashing took half as much again."""
    info, archive = info_of(store, "big", os.urandom(INLINE + 1))
    store.add_nar(info, [archive])
    begun: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        begun.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    inspector = Inspector(store.database, store._descriptor, contents=True)
    registered = store.database.contents(str(info.path))
    assert registered is not None
    assert (inspector.inspect([registered]), begun) == ([], [])
    os.chmod(store.real(info.path), 0o400)
    (found,) = inspector.inspect([registered])
    assert (found.kind, found.found) == (FindingKind.METADATA, "mode 0400")
