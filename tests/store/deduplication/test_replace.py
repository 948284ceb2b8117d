"""Files with the same contents are stored once, and nothing else of a store changes by it."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fruix.model import base32
from fruix.model.finding import FindingKind
from fruix.model.hashes import Hash
from fruix.model.nar import write
from fruix.model.savings import Savings
from fruix.model.storepath import StorePath
from fruix.store import flags
from fruix.store.deduplication import replace
from fruix.store.deduplication.contents import SMALL, Contents
from fruix.store.deduplication.rules import ALL, LARGE
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.tree.descriptors import lstat
from fruix.store.tree.dump import dump
from store.deduplication.trees import BIG, LINKED, add_tree, inode, links
from store.helpers import directory_fd, file_archive, snapshot, write_file

pytestmark = pytest.mark.usefixtures("no_clones")

HUGE = os.urandom(2 * SMALL)
# Small files go another way than others, with the same result.
BOTH_WAYS = pytest.mark.parametrize("data", [BIG, HUGE], ids=["straight", "careful"])


def modified(store: LocalStore) -> list[StorePath]:
    found = (one for one in store.verify(contents=True) if one.kind is FindingKind.MODIFIED)
    return [one.path(store.directory) for one in found]


def test_equal_files_become_one_and_trees_stay_what_they_were(store: LocalStore, tmp_path: Path) -> None:
    files = {"a": BIG, "sub/b": BIG, "sub/c.sh": BIG, "small": b"hello", "empty": b""}
    one = add_tree(store, tmp_path, "one", files)
    other = add_tree(store, tmp_path, "other", {**files, "more": b"x"})
    before = snapshot(store.directory)
    saved = store.optimise(ALL)
    after = snapshot(store.directory)
    del before[f"{store.directory}/."], after[f"{store.directory}/."]
    assert {key: value for key, value in after.items() if "/.links" not in key} == before
    assert store.verify(contents=True) == []
    # a and sub/b are one inode, in both trees, with a link; the executable is another file.
    assert inode(store, one, "a").st_nlink == 5
    assert inode(store, one, "a").st_ino == inode(store, other, "sub/b").st_ino
    assert inode(store, one, "sub/c.sh").st_ino == inode(store, other, "sub/c.sh").st_ino
    assert inode(store, one, "sub/c.sh").st_nlink == 3
    blocks = 4 * inode(store, one, "a").st_blocks + inode(store, one, "small").st_blocks
    assert saved == Savings(6, 512 * blocks, 0)
    assert Hash.of("sha256", file_archive(BIG)).nix32 in links(store)
    assert Hash.of("sha256", file_archive(BIG, executable=True)).nix32 in links(store)
    assert store.optimise(ALL) == Savings()


def test_guix_leaves_small_files_alone(store: LocalStore, tmp_path: Path) -> None:
    files = {"least": bytes(8192), "less": bytes(8191)}
    one, _ = (add_tree(store, tmp_path, name, files) for name in ("one", "other"))
    (tmp_path / "source-one" / "more").touch()
    second = store.add_path("two", str(tmp_path / "source-one"))
    assert store.optimise(LARGE).files == 2
    assert inode(store, one, "least").st_ino == inode(store, second, "least").st_ino
    assert inode(store, one, "less").st_nlink == 1


def test_symlinks_are_files_too(store: LocalStore, tmp_path: Path) -> None:
    paths = []
    for name in ("one", "other"):
        root = tmp_path / name
        root.mkdir()
        (root / "link").symlink_to("target")
        paths.append(store.add_path(name, str(root)))
    assert store.optimise(LARGE) == Savings()
    assert store.optimise(ALL).files == 1
    assert inode(store, paths[0], "link").st_ino == inode(store, paths[1], "link").st_ino
    assert store.verify(contents=True) == []


@BOTH_WAYS
def test_a_path_that_is_a_file_is_deduplicated(store: LocalStore, data: bytes) -> None:
    one, other = (store.add_text(name, data) for name in ("one", "other"))
    assert store.optimise(ALL).files == 1
    assert inode(store, one).st_ino == inode(store, other).st_ino


@BOTH_WAYS
@pytest.mark.parametrize("damaged", [slice(0, -1), slice(None, None, -1)], ids=["size", "contents"])
def test_a_damaged_link_is_made_anew_and_reaches_nobody(
    store: LocalStore, data: bytes, damaged: slice
) -> None:
    one = store.add_text("one", data)
    store.optimise(ALL)
    (name,) = links(store)
    os.unlink(f"{store.directory}/.links/{name}")
    write_file(f"{store.directory}/.links/{name}", data[damaged], 0o444)
    os.utime(f"{store.directory}/.links/{name}", (1, 1))
    other = store.add_text("other", data)
    assert store.optimise(ALL).files == 1
    assert store.verify(contents=True) == []
    assert inode(store, one).st_ino == inode(store, other).st_ino
    assert inode(store, one).st_nlink == 3


@BOTH_WAYS
@pytest.mark.parametrize("all_links", [False, True], ids=["its-link", "all-links"])
def test_a_link_that_another_thread_or_a_collector_removes_is_made_again(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, data: bytes, all_links: bool
) -> None:
    """It goes between the moment when it was found there and the moment when it is opened."""
    one, other = (store.add_text(name, data) for name in ("one", "other"))
    store._deduplicator.deduplicate(one, LINKED)
    gone: list[str] = []
    real = os.open

    def opened(name: str | bytes, *rest: Any, **names: Any) -> int:
        if not gone and os.fsdecode(name) in links(store):
            gone.append(os.fsdecode(name))
            os.unlink(name, **names)
            if all_links:
                os.rmdir(f"{store.directory}/.links")
        return real(name, *rest, **names)

    monkeypatch.setattr(os, "open", opened)
    store._deduplicator.deduplicate(other, LINKED)
    monkeypatch.undo()
    assert gone
    assert store._deduplicator.deduplicate(one, LINKED).files == 1
    assert inode(store, one).st_ino == inode(store, other).st_ino


def test_a_repaired_object_is_no_other_paths_file(store: LocalStore, tmp_path: Path) -> None:
    """Damage that came through one name is in the inode of all; repair of one gives it a fresh inode."""
    source = tmp_path / "source"
    source.mkdir()
    write_file(source / "f", BIG)
    one, other = (store.add_path(name, str(source)) for name in ("one", "other"))
    store.optimise(ALL)
    damaged = f"{store.directory}/{one.base}/f"
    os.chmod(damaged, 0o644)
    write_file(damaged, BIG[:-1] + bytes([BIG[-1] ^ 1]), 0o444)
    os.utime(damaged, (1, 1))
    assert modified(store) == [one, other]
    info = store.path_info(one)
    assert info is not None
    parent = directory_fd(tmp_path)
    with closing(dump(parent, b"source")) as archive:  # type: ignore[type-var]
        store.add_nar(info, archive, repair=True)
    os.close(parent)
    assert modified(store) == [other]
    # The link is damaged too, and must not be given to the repaired object.
    store.optimise(ALL)
    assert modified(store) == [other]


def test_a_file_that_is_not_canonical_is_nothing_to_share(store: LocalStore) -> None:
    one, other = (store.add_text(name, BIG) for name in ("one", "other"))
    os.chmod(f"{store.directory}/{one.base}", 0o644)
    os.utime(f"{store.directory}/{other.base}", (5, 5))
    assert store.optimise(ALL) == Savings()
    assert not os.path.exists(f"{store.directory}/.links")


@BOTH_WAYS
@pytest.mark.parametrize("number", [errno.EMLINK, errno.ENOSPC])
def test_what_can_have_no_more_names_is_left(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, data: bytes, number: int
) -> None:
    one, other = (store.add_text(name, data) for name in ("one", "other"))
    real = os.link

    def link(name: bytes, to_name: bytes, *, src_dir_fd: int, **names: Any) -> None:
        if lstat(src_dir_fd, name).st_nlink > 1:
            raise OSError(number, os.strerror(number))
        real(name, to_name, src_dir_fd=src_dir_fd, **names)

    monkeypatch.setattr(os, "link", link)
    assert store.optimise(LINKED) == Savings(left=1)
    assert inode(store, one).st_ino != inode(store, other).st_ino
    assert os.listdir(store._staging.directory) == []


@BOTH_WAYS
def test_what_can_not_be_renamed_is_left(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    one, other, third = (store.add_text(name, data) for name in ("one", "other", "third"))

    def rename(*_arguments: Any, **_names: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", rename)
        assert store.optimise(LINKED) == Savings(left=2)
        assert os.listdir(store._staging.directory) == []
    assert store.optimise(LINKED).files == 2
    assert len({inode(store, path).st_ino for path in (one, other, third)}) == 1


def test_clones_share_data_and_no_inode(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a double of a file system that clones: on others there are no clones."""
    clones: set[tuple[int, int]] = set()

    def clone(source: int, target: int) -> bool:
        os.sendfile(target, source, 0, 1 << 20)
        clones.update({(os.fstat(source).st_ino, os.fstat(target).st_ino)})
        return True

    monkeypatch.setattr(flags, "clone", clone)
    monkeypatch.setattr(
        flags,
        "shares_data",
        lambda one, other: bool(clones & {tuple(os.fstat(x).st_ino for x in (other, one))}),
    )
    one, other = (store.add_text(name, BIG) for name in ("one", "other"))
    saved = store.optimise(ALL)
    assert (saved.files, saved.freed) == (1, inode(store, one).st_blocks * 512)
    assert len(clones) == 1
    assert {inode(store, path).st_nlink for path in (one, other)} == {1, 2}
    assert store.verify(contents=True) == []
    assert store.optimise(ALL) == Savings()  # they do already


def test_after_registration_where_it_is_set(layout: Layout) -> None:
    with LocalStore(layout, deduplication=LARGE) as store:
        big = [store.add_text(name, BIG) for name in ("one", "other")]
        small = [store.add_text(name, b"small") for name in ("one", "other")]
        store.wait_for_deduplication()
        assert len({inode(store, path).st_ino for path in big}) == 1
        assert len({inode(store, path).st_ino for path in small}) == 2


def test_only_what_came_after(store: LocalStore) -> None:
    before = [store.add_text(name, BIG) for name in ("one", "other")]
    row = store.last_row()
    after = [store.add_text(name, BIG) for name in ("third", "fourth")]
    assert store.optimise(ALL, after=row).files == 1
    assert len({inode(store, path).st_ino for path in before}) == 2
    assert len({inode(store, path).st_ino for path in after}) == 1


def test_a_file_whose_archive_was_just_hashed_is_not_hashed_again(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its link has the name that it would have else."""
    one, other = store.add_text("one", BIG), store.add_text("other", BIG)
    info = store.path_info(one)
    assert info is not None
    known = info.nar_hash.digest
    monkeypatch.setattr(Contents, "_archive", None)
    monkeypatch.setattr(write, "plain_file", None)  # by the straight way, too
    assert store._deduplicator.deduplicate(one, ALL, archive_hash=known) == Savings()
    assert store._deduplicator.deduplicate(other, ALL, archive_hash=known).files == 1
    assert links(store) == {base32.encode(known)}
    assert inode(store, one).st_ino == inode(store, other).st_ino


def test_objects_that_can_hold_nothing_to_deduplicate_are_not_looked_at(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guix's clients wait for deduplication: of a text nothing is to be waited for."""
    seen: list[StorePath] = []
    monkeypatch.setattr(
        replace.Deduplicator, "deduplicate", lambda _self, path, *_rest, **_names: seen.append(path)
    )
    with LocalStore(layout, deduplication=LARGE) as store:
        store.add_text("small", b"small")
        assert not store.is_deduplicating()
        big = store.add_text("big", BIG)
        store.wait_for_deduplication()
        assert seen == [big]
    assert ALL.concern(1)
