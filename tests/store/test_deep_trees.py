"""Trees as deep as a file system allows: in few descriptors and little memory, with short messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import pytest

from fruix.errors import ObjectRejectedError
from fruix.model.refscan import ReferenceScanner
from fruix.model.text import shortened
from fruix.store.local import LocalStore
from fruix.store.objects.content_hashes import nar_hash
from fruix.store.outputs.canonical import Links
from fruix.store.outputs.reference_sites import mentions
from fruix.store.tree.compare import compare
from fruix.store.tree.copy import copy_tree
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.dump import dump
from fruix.store.tree.restore import restore
from fruix.store.tree.walk import MAX_DEPTH, Kind, walk
from store.helpers import BUILD_UID, archive, take
from store.limits import LEVELS, few_descriptors, memory_below

NAME = b"\xff" + b"n" * 254
PART = b"0123456789abcdfghijklmnpqrsvwxyz"


def make_deep(
    parent: int, name: bytes, *, levels: int = LEVELS, owner: int = -1, inner: bytes = NAME
) -> None:
    """Directories within each other; in every tenth lies a file, in the lowest a link and a mention too."""
    with OpenStack(parent) as stack:
        stack.into(name, owner)
        for level in range(levels):
            stack.into(inner, owner)
            if level % 10 == 0:
                stack.file(b"a", b"%d" % level, owner)
        stack.file(b"z", b"/frx/store/" + PART + b"-x", owner)
        os.symlink(b"target", b"link", dir_fd=stack.top)
        os.chown(b"link", owner, owner, dir_fd=stack.top, follow_symlinks=False)


class OpenStack:
    """The lowest of nested directories, open."""

    def __init__(self, parent: int) -> None:
        self.top = os.dup(parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.top)

    def into(self, name: bytes, owner: int) -> None:
        os.mkdir(name, dir_fd=self.top)
        following = os.open(name, os.O_RDONLY, dir_fd=self.top)
        os.fchown(following, owner, owner)
        os.close(self.top)
        self.top = following

    def file(self, name: bytes, data: bytes, owner: int) -> None:
        descriptor = os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=self.top)
        os.write(descriptor, data)
        os.fchown(descriptor, owner, owner)
        os.close(descriptor)


def test_every_way_through_a_deep_tree(here: int, tmp_path: Path) -> None:
    make_deep(here, b"deep")
    with few_descriptors(), memory_below(16 << 20):
        hashed = nar_hash(here, b"deep")
        restore(dump(here, b"deep"), here, b"restored")
        copy_tree(here, b"deep", here, b"copied")
        assert nar_hash(here, b"restored") == nar_hash(here, b"copied") == hashed
        assert compare(here, b"deep", here, b"restored", limit=3) == []
        scanner = ReferenceScanner([PART])
        for chunk in dump(here, b"deep"):
            scanner.feed(chunk)
        assert scanner.found == {PART}
        (place,) = mentions(here, b"deep", [PART])[PART]
        assert place.endswith("n/z")
        assert len(place) <= 1100  # with escapes
        links = Links()
        links.add(here, b"deep")
        assert links.nodes == LEVELS + 1 + LEVELS // 10 + 2
        for name in (b"deep", b"restored", b"copied"):
            delete_tree(here, name)
    assert os.listdir(tmp_path) == []


def test_a_difference_far_below_is_found(here: int) -> None:
    for name in (b"one", b"other"):
        make_deep(here, name, levels=200)
    with OpenStack(here) as stack:
        for name in (b"other", *[NAME] * 100):
            following = os.open(name, os.O_RDONLY, dir_fd=stack.top)
            os.close(stack.top)
            stack.top = following
        stack.file(b"m", b"only here", -1)
    with few_descriptors():
        (found,) = compare(here, b"one", here, b"other", limit=3)
    assert found.path.endswith("/m")
    assert len(found.path) <= 1100  # with escapes
    assert found.what == "only in the second (file of 9 bytes)"


def test_a_deep_output_becomes_an_object(store: LocalStore, area: str) -> None:
    if os.geteuid():
        pytest.skip("machine: only root can give files to a build user")
    parent = os.open(area, os.O_RDONLY)
    try:
        for copy in (False, True):
            make_deep(parent, b"out", owner=BUILD_UID)
            with few_descriptors(), memory_below(24 << 20):
                info = take(store, f"{area}/out", copy=copy)
            assert len(archive(store, info.path)) == info.nar_size
            store.delete_unregistered(info.path)
    finally:
        os.close(parent)


def test_a_deep_object_in_the_store(store: LocalStore, here: int, tmp_path: Path) -> None:
    """Added, read, deduplicated, verified, synced, deleted."""
    make_deep(here, b"deep")
    with few_descriptors(), memory_below(24 << 20):
        path = store.add_path("deep", str(tmp_path / "deep"))
        other = store.add_path("other", str(tmp_path / "deep"))
        assert sum(map(len, store.nar(path))) > LEVELS * 255
        assert store.optimise().files > LEVELS // 10
        assert store.verify(contents=True) == []
        store.database.remove([path, other])
        store.delete_unregistered(path)
        store.delete_unregistered(other)


def test_messages_leave_the_middle_of_a_path_out(here: int) -> None:
    make_deep(here, b"deep", levels=300, inner=b"d")
    with OpenStack(here) as stack:
        for name in (b"deep", *[b"d"] * 300):
            following = os.open(name, os.O_RDONLY, dir_fd=stack.top)
            os.close(stack.top)
            stack.top = following
        os.mkfifo(b"fifo", dir_fd=stack.top)
    with pytest.raises(ObjectRejectedError) as caught:
        list(walk(here, b"deep", where="/frx/store/x"))
    assert str(caught.value) == (
        "file '/frx/store/x/d/d/d/d/(284 more)/d/d/d/d/d/d/d/d/d/d/d/d/fifo' has an unsupported type"
    )


def test_long_names_are_cut_too() -> None:
    text = shortened("a" * 5000 + "b" * 5000)
    assert len(text) == 999
    assert text == "a" * 499 + "…" + "b" * 499
    assert shortened("a" * 1000) == "a" * 1000


def test_the_limit_is_that_of_archives(here: int) -> None:
    make_deep(here, b"deep", levels=70)
    with pytest.raises(ObjectRejectedError, match="more than 40 levels of directories"):
        list(dump(here, b"deep", max_depth=40))
    assert MAX_DEPTH >= 1 << 16


def test_nobody_leads_the_way_up_elsewhere(here: int) -> None:
    """A directory that is moved while the walk is far below it: what is above is another one then."""
    make_deep(here, b"deep", levels=100, inner=b"d")
    os.mkdir(b"elsewhere", dir_fd=here)
    nodes = walk(here, b"deep")
    while next(nodes).depth < 90:
        pass
    os.rename(b"deep/d/d", b"elsewhere/d", src_dir_fd=here, dst_dir_fd=here)
    with pytest.raises(ObjectRejectedError, match="was moved"):
        list(nodes)


def test_ends_come_with_their_directory_open(here: int) -> None:
    make_deep(here, b"deep", levels=100)
    opened: list[tuple[int, int]] = []
    for node in walk(here, b"deep"):
        if node.kind is Kind.DIRECTORY:
            opened.append((node.status.st_dev, node.status.st_ino))
        elif node.kind is Kind.END:
            status = os.fstat(node.descriptor)
            assert opened.pop() == (status.st_dev, status.st_ino)
        else:
            status = os.stat(node.name, dir_fd=node.parent, follow_symlinks=False)
            assert status.st_ino == node.status.st_ino
    assert opened == []


def test_descriptors_are_closed(here: int) -> None:
    make_deep(here, b"deep", levels=100)
    before = os.listdir("/proc/self/fd")
    nodes = walk(here, b"deep")
    while next(nodes).depth < 90:
        pass
    nodes.close()
    assert os.listdir("/proc/self/fd") == before
