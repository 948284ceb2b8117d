"""Looking through a store: what is told of each kind of damage, and what is mended in place."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fruix.model.finding import Finding, FindingKind
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.deduplication.rules import ALL
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.tree.interruption import interruptible
from fruix.store.verification import parallel, stored
from store.helpers import info_of


def add_tree(store: LocalStore, tmp_path: Path) -> StorePath:
    """A directory with a file, a program and a symlink."""
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin/program").write_text("#!/bin/sh\n")
    (source / "bin/program").chmod(0o755)
    (source / "data").write_bytes(b"data" * 5000)
    (source / "link").symlink_to("data")
    return store.add_path("tree", str(source))


def add_file(store: LocalStore, name: str) -> PathInfo:
    info, archive = info_of(store, name, name.encode())
    store.add_nar(info, [archive])
    return info


def kinds(found: list[Finding]) -> list[FindingKind]:
    return [finding.kind for finding in found]


def spoil(path: str) -> None:
    os.chmod(path, 0o644)
    Path(path).write_bytes(b"evil")
    os.chmod(path, 0o444)
    os.utime(path, (1, 1))


def fifo(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "contents", "kind"),
    [
        (os.unlink, False, FindingKind.MISSING),
        (os.unlink, True, FindingKind.MISSING),
        (spoil, True, FindingKind.MODIFIED),
        (fifo, True, FindingKind.UNREADABLE),
        (lambda path: os.chmod(path, 0o644), False, FindingKind.METADATA),
        (lambda path: os.utime(path, (5, 5)), True, FindingKind.METADATA),
        (lambda path: os.chmod(path, 0o555), True, FindingKind.MODIFIED),
    ],
    ids=["gone", "gone, read", "changed", "no file", "mode", "time", "executable"],
)
def test_each_damage_is_found(
    store: LocalStore, damage: Callable[[str], None], contents: bool, kind: FindingKind
) -> None:
    whole, info = add_file(store, "whole"), add_file(store, "bad")
    assert store.verify(contents=contents, strays=True) == []
    damage(store.real(info.path))
    (found,) = store.verify(contents=contents, strays=True)
    assert (found.kind, found.subject, found.is_damage) == (kind, str(info.path), True)
    assert store.inspect([whole.path], contents=True) == []
    assert store.missing() == ([info.path] if kind is FindingKind.MISSING else [])


def test_metadata_below_the_top_is_found_with_contents_and_mended(store: LocalStore, tmp_path: Path) -> None:
    path = add_tree(store, tmp_path)
    real = store.real(path)
    os.chmod(f"{real}/data", 0o600)
    os.utime(f"{real}/link", (7, 7), follow_symlinks=False)
    os.chmod(f"{real}/bin", 0o755)
    assert store.verify() == []
    found = store.verify(contents=True)
    assert [(one.kind, one.expected) for one in found] == [
        (FindingKind.METADATA, right) for right in ("0555", "0444", "1")
    ]
    assert "mode 0600 of 'data'" in str(found[1]).replace(f"{path.base}/", "")
    for finding in found:
        store.mend(finding)
    assert store.verify(contents=True) == []
    assert os.stat(f"{real}/bin/program").st_mode & 0o7777 == 0o555


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: only root gives files away")
def test_the_owner_is_looked_at_and_mended(store: LocalStore, tmp_path: Path) -> None:
    path = add_tree(store, tmp_path)
    os.chown(f"{store.real(path)}/data", 1234, 1234)
    (found,) = store.verify(contents=True)
    assert (found.kind, found.expected) == (FindingKind.METADATA, "0")
    store.mend(found)
    assert store.verify(contents=True) == []
    assert os.stat(f"{store.real(path)}/data").st_uid == 0


def test_what_else_lies_there_is_told_and_is_no_damage(store: LocalStore, layout: Layout) -> None:
    add_file(store, "valid")
    stray = StorePath.of(layout.store, f"{'b' * 32}-stray")
    used = StorePath.of(layout.store, f"{'c' * 32}-used")
    for name in (stray.base, used.base, "README", ".tmp-0123456789abcdef"):
        Path(layout.store, name).write_text("x")
    store.add_temp_root(used)
    found = store.verify(strays=True)
    assert {one.subject.removeprefix(layout.store + "/"): one.kind for one in found} == {
        stray.base: FindingKind.UNREGISTERED,
        "README": FindingKind.FOREIGN,
        ".tmp-0123456789abcdef": FindingKind.LEFTOVER,
    }
    assert not any(one.is_damage for one in found)
    assert store.verify() == []


def test_damaged_links_are_found_and_taken_away(store: LocalStore, tmp_path: Path) -> None:
    add_tree(store, tmp_path)
    store.optimise(ALL)
    links = Path(store.directory, ".links")
    before = sorted(os.listdir(links))
    assert before
    assert store.verify(contents=True) == []
    victim = next(link for link in links.iterdir() if not link.is_symlink())
    other = tmp_path / "other"
    other.write_text("evil")
    victim.unlink()
    os.link(other, victim)
    (found,) = store.verify(contents=True)
    assert (found.kind, found.expected) == (FindingKind.LINK, victim.name)
    store.mend(found)
    assert not victim.exists()
    assert store.verify(contents=True) == []


def test_missing_paths_are_forgotten_unless_something_refers_to_them(store: LocalStore) -> None:
    needed = add_file(store, "needed")
    user, archive = info_of(store, "user", b"user", [needed.path])
    store.add_nar(user, [archive])
    alone, locked = add_file(store, "alone"), add_file(store, "locked")
    gone = [needed.path, alone.path, locked.path]
    for path in gone:
        os.unlink(store.real(path))
    with store.lock_paths([locked.path]):
        assert store.forget_missing([*gone, user.path]) == [alone.path]
    assert store.all_valid_paths() == sorted([needed.path, user.path, locked.path])
    os.unlink(store.real(user.path))
    assert store.forget_missing([*gone, user.path]) == sorted([needed.path, user.path, locked.path])
    assert store.all_valid_paths() == []


def test_a_store_of_which_all_was_forgotten_opens_again(layout: Layout) -> None:
    with LocalStore(layout) as store:
        info = add_file(store, "only")
        store.sync()
        os.unlink(store.real(info.path))
        assert store.forget_missing([info.path]) == [info.path]
        Path(layout.store, f"{'b' * 32}-stray").write_text("x")
    with LocalStore(layout) as store:
        assert store.all_valid_paths() == []


def test_a_path_that_goes_meanwhile_is_no_damage(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    info = add_file(store, "going")
    pages = list(store._pages())
    store.database.remove([info.path])
    os.unlink(store.real(info.path))
    monkeypatch.setattr(store, "_pages", lambda: iter(pages))
    assert store.verify(contents=True) == []


def test_work_goes_on_in_several_threads_and_results_keep_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    together = threading.Barrier(3)

    def work(number: int) -> int:
        together.wait(60)  # broken, and so an error, if fewer than three run at once
        return number

    assert list(parallel.in_parallel(work, range(30))) == list(range(30))


def test_the_threads_are_interrupted(store: LocalStore) -> None:
    for number in range(20):
        add_file(store, f"file-{number}")
    with pytest.raises(KeyError, match="gone"), interruptible(lambda: KeyError("gone")):
        store.verify(contents=True)


def test_what_is_read_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(2000):
            begun.append(number)
            yield number

    results = parallel.in_parallel(str, items())
    assert next(results) == "0"
    assert len(begun) <= parallel._KEPT + 2


def test_what_takes_long_does_not_hold_up_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    rest = threading.Barrier(2)

    def work(number: int) -> int:
        if number in {0, 500}:
            rest.wait(60)  # broken, and so an error, unless the 500th begins before the first has ended
        return number

    assert list(parallel.in_parallel(work, range(600))) == list(range(600))


def test_the_biggest_are_begun_first(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_BIG", 1000)
    monkeypatch.setattr(stored, "_MOST_BIG", 2)
    sizes = [10, 2000, 20, 3000, 30, 1500]
    for size in sizes:
        store.add_text(f"text-{size}", bytes(size))
    names = [[each.base.partition("-")[2] for each in page] for page in store._pages()]
    assert names == [["text-3000"], ["text-2000"], ["text-10", "text-20", "text-30", "text-1500"]]
