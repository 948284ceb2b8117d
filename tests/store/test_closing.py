"""Files without a name are closed in the background, and all of them are closed in the end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from fruix.store.tree.closing import Closer


def opened(place: Path, *, named: bool) -> int:
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT)
    if not named:
        os.unlink(place)
    return descriptor


def open_files(place: Path) -> int:
    """How many files of a directory this process has open, also of those that have no name any more."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith(f"{place}/")
    return found


@pytest.mark.parametrize("named", [False, True])
def test_all_are_closed_when_that_was_waited_for(tmp_path: Path, named: bool) -> None:
    closer = Closer()
    for _ in range(3):
        for number in range(100):
            closer.close(opened(tmp_path / f"f{number}", named=named))
        closer.drain()
        assert not open_files(tmp_path)
    closer.end()


def test_the_end_closes_what_waits(tmp_path: Path) -> None:
    closer = Closer()
    for _ in range(50):
        closer.close(opened(tmp_path / "f", named=False))
    closer.end()
    assert not open_files(tmp_path)


def test_no_thread_begins_for_files_that_have_names(tmp_path: Path) -> None:
    closer = Closer()
    closer.close(opened(tmp_path / "f", named=True))
    closer.drain()
    closer.end()
    assert closer._thread is None
