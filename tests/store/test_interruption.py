"""Work on trees that is given up: everywhere soon, taken for nothing else, and nothing is left.

Deletions are not.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fruix.errors import FruixError
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.tree import syncing
from fruix.store.tree.compare import compare
from fruix.store.tree.copy import copy_data, copy_tree
from fruix.store.tree.copy_for_user import Keeper
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import READ_SIZE
from fruix.store.tree.dump import dump
from fruix.store.tree.interruption import Interrupted, check_interrupt, interruptible
from fruix.store.tree.walk import walk
from machine import SEVERAL_IDS
from store.helpers import BUILD_UID, directory_fd, give, info_of, nothing_but, some_path, write_file


class StopError(FruixError):
    """Why it was given up."""


class After:
    """Lets some questions pass, then says stop."""

    def __init__(self, questions: int) -> None:
        self.left = questions
        self.asked = 0

    def __call__(self) -> Exception | None:
        self.asked += 1
        return StopError("not wanted any more") if self.asked > self.left else None


@contextmanager
def stopped(after: int) -> Iterator[None]:
    """What is done in here has to be given up, by the first question after those."""
    check = After(after)
    with pytest.raises(StopError, match="not wanted"), interruptible(check):
        yield
    assert check.asked == after + 1, "it went on after it was told to stop"


def tree(where: str, name: str, files: int = 10, size: int = 10) -> str:
    os.mkdir(f"{where}/{name}")
    for number in range(files):
        write_file(f"{where}/{name}/{number}", bytes(size))
    return f"{where}/{name}"


Work = Callable[[int, str], object]
"""What is done with the trees `a` and `b` (of ten files each) in an open directory."""
WORK: dict[str, Work] = {
    "walk": lambda fd, _: list(walk(fd, b"a")),
    "dump": lambda fd, _: list(dump(fd, b"a")),
    "copy": lambda fd, _: copy_tree(fd, b"a", fd, b"copy"),
    "compare": lambda fd, _: compare(fd, b"a", fd, b"b", limit=9),
    "sync": lambda fd, _: syncing.sync_tree(fd, b"a"),
    "keep": lambda fd, path: Keeper(os.getuid(), os.getuid(), os.getgid(), 1 << 30).copy(
        fd, b"a", directory_fd(f"{path}/to")
    ),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
@pytest.mark.parametrize("after", [0, 5, 10])
def test_each_node_is_a_question(area: str, work: Work, after: int) -> None:
    tree(area, "a")
    tree(area, "b")
    os.mkdir(f"{area}/to")
    descriptor = directory_fd(area)
    with stopped(after):
        work(descriptor, area)


@pytest.mark.parametrize("work", [WORK["dump"], WORK["compare"], WORK["keep"]])
def test_each_piece_of_a_big_file_is_a_question(
    area: str, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fruix.store.flags.clone", lambda *_: False)
    for name in "ab":
        os.truncate(
            os.open(f"{area}/{name}", os.O_CREAT | os.O_WRONLY), 1 << 40
        )  # nobody reads a TiB in this test
    os.mkdir(f"{area}/to")
    with stopped(30):
        if work is WORK["keep"]:
            Keeper(os.getuid(), os.getuid(), os.getgid(), 1 << 41).copy(
                directory_fd(area), b"a", directory_fd(f"{area}/to")
            )
        else:
            work(directory_fd(area), area)


@pytest.mark.parametrize("in_kernel", [True, False])
def test_copies_by_the_kernel_and_by_hand(
    area: str, in_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fruix.store.flags.clone", lambda *_: False)
    if not in_kernel:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    source, target = (os.open(f"{area}/{name}", os.O_CREAT | os.O_RDWR) for name in "ab")
    os.truncate(source, size := 20 * READ_SIZE + 7)
    copy_data(source, target, size, where="a")
    assert os.fstat(target).st_size == size
    os.truncate(source, 1 << 40)
    for descriptor in (source, target):
        os.lseek(descriptor, 0, os.SEEK_SET)
    with stopped(3):
        copy_data(source, target, 1 << 40, where="a")


@pytest.mark.parametrize("clone", [True, False])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_that_changes_while_it_is_copied(
    area: str, clone: bool, change: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cloned(source: int, target: int) -> bool:
        os.truncate(target, os.fstat(source).st_size)
        return clone

    monkeypatch.setattr("fruix.store.flags.clone", cloned)
    source, target = (os.open(f"{area}/{name}", os.O_CREAT | os.O_RDWR) for name in "ab")
    os.truncate(source, 5000 + change)
    with pytest.raises(FruixError, match="changed while it was copied"):
        copy_data(source, target, 5000, where="a")


def test_a_long_directory_is_interrupted_while_it_is_listed(
    area: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("fruix.store.tree.walk"), "_LISTED", 4)
    tree(area, "a", files=40)
    nodes = walk(directory_fd(area), b"a")
    next(nodes)
    with stopped(2):
        next(nodes)


def test_a_damaged_object_is_not_found_where_nobody_has_looked(store: LocalStore) -> None:
    """Errors of files are findings there; being given up is none."""
    path = store.add_text("x", b"x" * 100)
    for look in (
        lambda: store.is_whole(path),
        lambda: store.verify(contents=True),
        lambda: store.inspect([path], contents=True),
        lambda: store.count_links([store.real(path)]),
    ):
        with pytest.raises(StopError), interruptible(After(0)):
            look()
    assert store.is_whole(path)


@SEVERAL_IDS
@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("after", [0, 3, 9, 11])
def test_an_output_that_is_given_up_leaves_nothing(
    store: LocalStore, area: str, copy: bool, after: int
) -> None:
    give(tree(area, "x"))
    path = some_path("out", store.directory)
    with stopped(after):
        store.stage_output(f"{area}/x", path, OutputPolicy(BUILD_UID, [path], copy))
    assert nothing_but(store)
    assert not any(name.isdigit() for name in os.listdir(store._staging.directory))


def test_a_stream_that_is_given_up_is_not_added(store: LocalStore) -> None:
    info, archive = info_of(store, "x", bytes(100))

    def chunks() -> Iterator[bytes]:
        yield archive[:50]
        check_interrupt()
        yield archive[50:]

    with stopped(0):
        store.add_nar(info, chunks())
    assert nothing_but(store)


def test_deletions_are_completed(area: str) -> None:
    tree(area, "a")
    tree(f"{area}/a", "deep")
    with interruptible(After(0)):
        delete_tree(directory_fd(area), b"a")
    assert os.listdir(area) == []


def test_the_innermost_counts() -> None:
    with interruptible(After(0)):
        with interruptible(lambda: None):
            check_interrupt()
        with pytest.raises(Interrupted):
            check_interrupt()
    check_interrupt()
