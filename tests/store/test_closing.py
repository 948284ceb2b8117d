"""Files without a name are closed in the background, and all of them are closed in the end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from fruix.store.tree.closing import Closer
from fruix.threads import Thread


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


def test_what_lies_between_stays_open(tmp_path: Path) -> None:
    """Many are closed by one call, and their descriptors don't all follow each other."""
    closer = Closer()
    files = [opened(tmp_path / f"f{number}", named=False) for number in range(150)]
    kept = files[::3] + files[60:90:2]
    for descriptor in sorted(set(files) - set(kept), reverse=True):
        closer.close(descriptor)
    closer.drain()
    assert open_files(tmp_path) == len(set(kept))
    for descriptor in set(kept):
        os.fstat(descriptor)
        closer.close(descriptor)
    closer.end()
    assert not open_files(tmp_path)


def test_a_few_are_closed_without_waiting_for_more(tmp_path: Path) -> None:
    closer = Closer()
    closer.close_soon(opened(tmp_path / "f", named=False))
    closer.flush()
    while open_files(tmp_path):
        pass
    closer.end()


def test_files_are_closed_where_no_thread_can_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_self: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)
    closer = Closer()
    for _ in range(100):
        closer.close(opened(tmp_path / "f", named=False))
    closer.drain()
    assert not open_files(tmp_path)
    closer.end()


def test_no_thread_begins_for_files_that_have_names(tmp_path: Path) -> None:
    closer = Closer()
    closer.close(opened(tmp_path / "f", named=True))
    closer.drain()
    closer.end()
    assert not closer._threads
