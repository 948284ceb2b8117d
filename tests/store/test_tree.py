from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fruix.errors import BadNarError, ObjectRejectedError, StoreError
from fruix.model.nar import write
from fruix.store import flags
from fruix.store.tree.copy import copy_tree
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import open_chain
from fruix.store.tree.dump import dump
from fruix.store.tree.restore import restore
from fruix.store.tree.walk import Kind, Node, walk
from store.helpers import (
    directory_fd,
    file_archive,
    golden,
    golden_bytes,
    make_golden_tree,
    snapshot,
    write_file,
)


class Prepared:
    """A preparation that does nothing: trees that need one are read in another way."""

    def file(self, node: Node, descriptor: int) -> int:  # noqa: ARG002 - the protocol's shape
        return descriptor

    def symlink(self, node: Node) -> None:
        pass

    directory = end = symlink


def archive_of(parent: int, name: bytes) -> bytes:
    archive = b"".join(dump(parent, name))
    assert b"".join(dump(parent, name, prepare=Prepared())) == archive
    return archive


def tree_of(entries: bytes) -> bytes:
    return write.MAGIC + write.DIRECTORY_HEAD + entries + write.DIRECTORY_TAIL


def entry(name: bytes, node: bytes) -> bytes:
    return write.entry_head(name) + node + write.ENTRY_TAIL


FILE = write.file_head(2, False) + b"hi" + write.file_tail(2)


# Dumping and restoring


def test_dump_of_the_golden_tree(tmp_path: Path, here: int) -> None:
    make_golden_tree(str(tmp_path / "tree"))
    assert archive_of(here, b"tree") == golden_bytes("nar/tree.nar")


def test_restore_of_the_golden_archive(tmp_path: Path, here: int) -> None:
    data = golden_bytes("nar/tree.nar")
    restore([data[i : i + 7] for i in range(0, len(data), 7)], here, b"tree")
    assert archive_of(here, b"tree") == data
    for directory, directories, files in os.walk(os.fsencode(tmp_path / "tree")):
        for name in [*directories, *files, b"."]:
            status = os.lstat(os.path.join(directory, name))
            assert status.st_mtime == 1
            assert os.path.islink(os.path.join(directory, name)) or status.st_mode & 0o7777 in {0o444, 0o555}
    assert os.stat(tmp_path / "tree").st_mode & 0o7777 == 0o555
    assert os.stat(tmp_path / "tree" / "run.sh").st_mode & 0o7777 == 0o555


@pytest.mark.parametrize("name", list(golden("nar/small.json")))
def test_small_archives_come_back(here: int, name: str) -> None:
    data = bytes.fromhex(golden("nar/small.json")[name]["hex"])
    restore([data], here, b"x")
    assert archive_of(here, b"x") == data


names = st.binary(min_size=1, max_size=20).filter(lambda n: n not in {b".", b".."} and not {0, 47} & set(n))
trees = st.recursive(
    st.one_of(st.binary(max_size=100), st.tuples(st.just("link"), names)),
    lambda children: st.dictionaries(names, children, max_size=4),
    max_leaves=8,
)


def nar_node(tree: object) -> bytes:
    if isinstance(tree, bytes):
        return write.file_head(len(tree), len(tree) % 2 == 1) + tree + write.file_tail(len(tree))
    if isinstance(tree, tuple):
        return write.symlink(tree[1])
    assert isinstance(tree, dict)
    inside = b"".join(entry(name, nar_node(tree[name])) for name in sorted(tree))
    return write.DIRECTORY_HEAD + inside + write.DIRECTORY_TAIL


@given(trees)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_dump_of_restored_is_the_archive(here: int, tree: object) -> None:
    data = write.MAGIC + nar_node(tree)
    try:
        restore([data], here, b"x")
        assert archive_of(here, b"x") == data
    finally:
        delete_tree(here, b"x")


def test_a_small_file_is_opened_and_read_once(tmp_path: Path, here: int) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(30):
        write_file(tmp_path / "tree" / str(number), b"contents", 0o644)
    with patch.object(os, "stat", wraps=os.stat) as asked, patch.object(os, "read", wraps=os.read) as read:
        list(dump(here, b"tree"))
    assert asked.call_count == 1  # of the root
    assert read.call_count == 30


def test_big_file_is_streamed(tmp_path: Path, here: int) -> None:
    data = os.urandom(5_000_001)
    write_file(tmp_path / "big", data, 0o755)
    assert archive_of(here, b"big") == file_archive(data, executable=True)
    assert max(map(len, dump(here, b"big"))) <= 1 << 20


def test_file_that_grows_while_it_is_read(tmp_path: Path, here: int) -> None:
    write_file(tmp_path / "f", bytes(3 << 20))
    chunks = dump(here, b"f")
    next(chunks)
    with open(tmp_path / "f", "ab") as file:
        file.write(b"more")
    with pytest.raises(ObjectRejectedError, match="changed while it was read"):
        list(chunks)


def test_file_that_shrinks_while_it_is_read(tmp_path: Path, here: int) -> None:
    write_file(tmp_path / "f", bytes(3 << 20))
    chunks = dump(here, b"f")
    next(chunks)
    os.truncate(tmp_path / "f", 10)
    with pytest.raises(ObjectRejectedError, match="changed while it was read"):
        list(chunks)


EVIL = {
    "link, then a directory of that name": tree_of(
        entry(b"a", write.symlink(b"../canary"))
        + entry(b"a", write.DIRECTORY_HEAD + entry(b"f", FILE) + write.DIRECTORY_TAIL)
    ),
    "unsorted": tree_of(entry(b"b", FILE) + entry(b"a", FILE)),
    "duplicate": tree_of(entry(b"a", FILE) + entry(b"a", FILE)),
    "dot dot": tree_of(entry(b"..", FILE)),
    "dot": tree_of(entry(b".", FILE)),
    "slash": tree_of(entry(b"a/b", FILE)),
    "absolute": tree_of(entry(b"/tmp/x", FILE)),
    "empty name": tree_of(entry(b"", FILE)),
    "NUL in name": tree_of(entry(b"a\0b", FILE)),
    "long name": tree_of(entry(b"a" * 256, FILE)),
    "NUL in target": write.MAGIC + write.symlink(b"a\0b"),
    "something after the end": write.MAGIC + FILE + b"\0" * 8,
    "no archive": b"hello world, this is no archive",
    "cut": (write.MAGIC + FILE)[:-8],
    "nothing": b"",
}


@pytest.mark.parametrize("what", EVIL)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_evil_archives_are_refused(tmp_path: Path, what: str, size: int) -> None:
    canary, inside = tmp_path / "canary", tmp_path / "inside"
    canary.mkdir()
    inside.mkdir()
    write_file(canary / "f", b"mine")
    before = snapshot(canary)
    data = EVIL[what]
    parent = directory_fd(inside)
    with pytest.raises(BadNarError):
        restore([data[i : i + size] for i in range(0, len(data), size)], parent, b"x")
    assert snapshot(canary) == before
    assert os.listdir(tmp_path / "inside") in ([], ["x"])
    delete_tree(parent, b"x")
    os.close(parent)


def test_restore_does_not_write_over_anything(tmp_path: Path, here: int) -> None:
    write_file(tmp_path / "canary", b"mine")
    os.symlink("canary", tmp_path / "x")
    with pytest.raises(FileExistsError):
        restore([write.MAGIC + FILE], here, b"x")
    assert (tmp_path / "canary").read_bytes() == b"mine"


def test_no_descriptor_is_left(tmp_path: Path, here: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for data in EVIL.values():
        with pytest.raises(BadNarError):
            restore([data], here, b"x")
        delete_tree(here, b"x")
    make_golden_tree(str(tmp_path / "tree"))
    nodes = walk(here, b"tree")
    for node in nodes:
        if node.depth == 3:
            break
    with closing(nodes):
        assert len(os.listdir("/proc/self/fd")) > before
    del nodes
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_walk_closed_at_its_root_leaves_no_descriptor(tmp_path: Path, here: int) -> None:
    make_golden_tree(str(tmp_path / "tree"))
    before = os.listdir("/proc/self/fd")
    nodes = walk(here, b"tree")
    next(nodes)
    nodes.close()
    assert os.listdir("/proc/self/fd") == before


# Walking


def test_special_files_are_refused(tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "fifo")
    with pytest.raises(ObjectRejectedError, match="file 'd/fifo' has an unsupported type"):
        list(walk(here, b"d"))
    with socket.socket(socket.AF_UNIX) as unix:
        monkeypatch.chdir(tmp_path)  # a socket's name must be short
        unix.bind("socket")
        with pytest.raises(ObjectRejectedError, match="file 'socket' has an unsupported type"):
            list(walk(here, b"socket"))


def test_walk_tells_where(tmp_path: Path, here: int) -> None:
    make_golden_tree(str(tmp_path / "tree"))
    seen = [node.path for node in walk(here, b"tree") if node.kind is Kind.DIRECTORY]
    assert seen[:3] == ["tree", "tree/a", "tree/a/nested"]
    with closing(walk(here, b"tree", where="/frx/store/x")) as nodes:
        assert next(nodes).path == "/frx/store/x"


@pytest.mark.parametrize("at_once", [True, False])
def test_open_chain_refuses_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr(flags, "open_without_links", lambda *_: None)
    real = os.path.realpath(tmp_path)
    os.mkdir(real + "/d")
    os.symlink("d", real + "/l")
    os.close(open_chain(real + "/d"))
    with pytest.raises(StoreError, match="symlink"):
        open_chain(real + "/l")
    with pytest.raises(StoreError, match="absolute"):
        open_chain("d")
    with pytest.raises(FileNotFoundError):
        open_chain(real + "/nothing/d")


def test_open_chain_takes_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.path.realpath(tmp_path)
    if (able := flags.open_without_links(real, os.O_RDONLY)) is None:
        pytest.skip("machine: no openat2")
    os.close(able)
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("another call"))
    os.close(open_chain(real))


# Copying


def test_copy_is_canonical_and_shares_no_inode(tmp_path: Path, here: int) -> None:
    make_golden_tree(str(tmp_path / "tree"))
    os.link(tmp_path / "tree" / "hello", tmp_path / "tree" / "hello2")
    os.chmod(tmp_path / "tree" / "hello", 0o4755)
    copy_tree(here, b"tree", here, b"copy")
    assert archive_of(here, b"copy") == archive_of(here, b"tree")
    inodes = {node.status.st_ino for node in walk(here, b"tree")}
    for node in walk(here, b"copy"):
        assert node.status.st_ino not in inodes
        assert node.status.st_mtime == 1
        if node.kind is Kind.FILE:
            assert node.status.st_nlink == 1
            assert node.status.st_mode & 0o7777 in {0o444, 0o555}


def test_copy_never_follows_what_is_planted_at_the_destination(tmp_path: Path, here: int) -> None:
    write_file(tmp_path / "canary", b"mine")
    write_file(tmp_path / "f", b"evil")
    os.symlink("canary", tmp_path / "out")
    with pytest.raises(FileExistsError):
        copy_tree(here, b"f", here, b"out")
    assert (tmp_path / "canary").read_bytes() == b"mine"


def test_copy_refuses_special_files(tmp_path: Path, here: int) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "fifo")
    with pytest.raises(ObjectRejectedError, match="unsupported type"):
        copy_tree(here, b"d", here, b"copy")
