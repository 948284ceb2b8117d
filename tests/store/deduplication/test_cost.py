"""What a small file costs that is deduplicated: calls of Python's functions, and of the system.

No load of the machine changes them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from fruix.store.deduplication.rules import Rules
from fruix.store.local import LocalStore
from store.helpers import write_file

LINKED = Rules(symlinks=True, clones=False)
# For a file that gets its link, and for one that is replaced by it; 45 and 88 of Python's functions, and
# 8 and 17 of the system, while there was one way for all files.
MOST = {"linked": (26, 6), "replaced": (42, 12)}
FEW, MANY = 20, 120


def calls(work: Callable[[], object]) -> tuple[int, int]:
    """How many of Python's functions, and of those of the module `posix`, are called."""
    python = system = 0

    def note(_frame: FrameType, event: str, argument: Any) -> None:
        nonlocal python, system
        python += event == "call"
        system += event == "c_call" and argument.__module__ == "posix" and argument.__name__ != "fspath"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return python, system


@pytest.mark.parametrize("what", MOST)
def test_calls_for_a_small_file(store: LocalStore, tmp_path: Path, what: str) -> None:
    counted = []
    for number in (FEW, MANY):
        source = tmp_path / str(number)
        source.mkdir()
        for index in range(number):
            write_file(source / f"{index:04}", b"%d of %d" % (index, number) * 1000)
        one, other = (store.add_path(f"{name}-{number}", str(source)) for name in ("one", "other"))
        first, second = (
            calls(lambda path=path: store._deduplicator.deduplicate(path, LINKED))  # type: ignore[misc]
            for path in (one, other)
        )
        counted.append(first if what == "linked" else second)
    few, many = counted
    grown = [(after - before) / (MANY - FEW) for before, after in zip(few, many, strict=True)]
    assert [one <= most for one, most in zip(grown, MOST[what], strict=True)] == [True, True], grown
