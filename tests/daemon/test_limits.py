"""What is deep, wide or large goes through the daemon in flat memory."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.serving import running
from fruix.model.nar.members import members
from store.helpers import directory_fd, empty
from store.limits import LEVELS, SPARSE, few_descriptors, memory_below
from store.test_deep_trees import make_deep


def test_a_deep_tree_is_added_and_read(tmp_path: Path) -> None:
    here = directory_fd(tmp_path)
    make_deep(here, b"deep")
    os.close(here)
    with running(tmp_path) as daemon, few_descriptors(250):
        store = daemon.connect()
        path = store.add_path("deep", str(tmp_path / "deep"))
        assert path == daemon.store.add_path("deep", str(tmp_path / "deep"))
        assert sum(map(len, store.nar(path))) > LEVELS * 255
        assert not daemon.store.verify(contents=True)
    empty(tmp_path)


def test_any_name_is_a_name(tmp_path: Path) -> None:
    """Of 255 bytes, or bytes that no encoding gives."""
    names = {b"x" * 255, b"\xff" * 255, b"\xc3\x28", b"new\nline", "é".encode(), b" "}
    os.mkdir(tmp_path / "tree")
    for name in names:
        with open(os.fsencode(tmp_path / "tree") + b"/" + name, "wb") as file:
            file.write(name)
    with running(tmp_path) as daemon:
        store = daemon.connect()
        path = store.add_path("tree", str(tmp_path / "tree"))
        assert {name for name, _ in members(store.nar(path)) if name} == names
        assert not daemon.store.verify(contents=True)
        store.optimise()
        assert set(os.listdir(os.fsencode(daemon.store.real(path)))) == names


def test_a_very_large_file_is_added_and_read(tmp_path: Path) -> None:
    """Client and daemon are both in this process."""
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(SPARSE)
    with running(tmp_path) as daemon, memory_below(96 << 20):
        store = daemon.connect()
        path = store.add_path("sparse", str(tmp_path / "sparse"))
        assert sum(map(len, store.nar(path))) > SPARSE
