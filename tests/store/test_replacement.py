"""A repair that is cut off: the path, and all that needs it, is there at the next start."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fruix.model.finding import FindingKind
from fruix.model.storepath import StorePath
from fruix.store import flags
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.helpers import file_archive, write_file
from waiting import exit_of

DIED = 23


def filled(layout: Layout) -> tuple[StorePath, StorePath]:
    """A path and one that refers to it, with the store closed again; the former is damaged."""
    with LocalStore(layout) as store:
        path = store.add_text("path", b"sound")
        needing = store.add_text("needing", b"x", [path])
    Path(str(path)).chmod(0o644)
    write_file(str(path), b"other", 0o444)
    return path, needing


def dies(layout: Layout, work: Callable[[LocalStore], None]) -> None:
    """Work with the store open in a process that has to die of it."""
    pid = os.fork()
    if pid == 0:
        try:
            work(LocalStore(layout).open())
        finally:
            os._exit(1)
    assert exit_of(pid) == DIED


def test_what_was_damaged_before_stays_as_it_was(layout: Layout) -> None:
    path, needing = filled(layout)

    def work(store: LocalStore) -> None:
        info = store.path_info(path)
        assert info is not None
        with store.replacing(info):
            os._exit(DIED)

    dies(layout, work)
    with LocalStore(layout) as store:
        assert store.recovered == []
        assert store.is_valid(path)
        assert store.is_valid(needing)
        (finding,) = store.verify(contents=True)
        assert (finding.kind, finding.subject) == (FindingKind.MODIFIED, str(path))
        assert store.database.replacing(path) == set()


def test_between_two_renames(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where names can't be exchanged nothing lies there for a moment."""
    path, needing = filled(layout)

    def work(store: LocalStore) -> None:
        info, rename = store.path_info(path), os.rename
        assert info is not None

        def last(source: bytes, target: bytes, **more: Any) -> None:
            if target == os.fsencode(path.base):
                os._exit(DIED)
            rename(source, target, **more)

        monkeypatch.setattr(flags, "exchange", lambda *_: False)
        monkeypatch.setattr(os, "rename", last)
        store.add_nar(info, [file_archive(b"sound")], repair=True)

    dies(layout, work)
    assert not os.path.exists(str(path))
    with LocalStore(layout) as store:
        assert store.recovered == []
        assert store.verify(contents=True) == []
        assert store.is_valid(needing)
        assert Path(str(path)).read_bytes() == b"sound"
