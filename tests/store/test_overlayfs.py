"""Objects that lie in a lower layer of overlayfs, whose directories can't be renamed (EXDEV)."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fruix.model.finding import FindingKind
from fruix.model.garbage import Goal, Keep
from fruix.model.pathinfo import PathInfo
from fruix.sandbox.linux import libc
from fruix.store.deduplication.rules import ALL
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.tree.delete import delete_tree
from machine import own_mounts
from store.helpers import BUILD_UID, directory_fd, give, snapshot, take

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: only root mounts overlayfs")


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory on a file system that can be an upper layer, which overlayfs itself can't be."""
    with tempfile.TemporaryDirectory(prefix="overlay-", dir="/dev/shm") as directory:
        os.chmod(directory, 0o755)
        yield Path(os.path.realpath(directory))


@contextmanager
def lowered(base: Path) -> Iterator[None]:
    """What lies in `base/place` is a lower layer now, and changes go into an upper one."""
    own_mounts()
    place, upper, work = (base / name for name in ("place", "upper", "work"))
    upper.mkdir()
    work.mkdir()
    data = f"lowerdir={place},upperdir={upper},workdir={work},redirect_dir=off"
    try:
        libc.mount(b"overlay", os.fsencode(place), b"overlay", 0, data.encode())
    except OSError as error:
        pytest.skip(f"machine: overlayfs can't be mounted here: {error}")
    try:
        yield
    finally:
        libc.umount(os.fsencode(place), 0)


def filled(base: Path) -> tuple[Layout, dict[str, PathInfo]]:
    """A store with some trees, closed."""
    layout = Layout(f"{base}/place/store", f"{base}/place/state", f"{base}/place/log")
    with LocalStore(layout) as store:
        infos = {name: add(store, base, name) for name in ("dead", "alive", "damaged")}
    return layout, infos


def add(store: LocalStore, base: Path, name: str) -> PathInfo:
    source = base / "sources" / name
    inner = source / "a/b/c"
    inner.mkdir(parents=True)
    (inner / "file").write_text(f"{name}\n" * 4000)
    (source / "a/same").write_text("same" * 4000)
    (source / "link").symlink_to("a/same")
    (source / "empty").mkdir()
    info = store.path_info(store.add_path(name, str(source)))
    assert info is not None
    return info


def refuses_renames(path: str) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        os.rename(path, f"{path}-moved")


def test_garbage_is_collected(base: Path) -> None:
    layout, infos = filled(base)
    with lowered(base):
        refuses_renames(f"{layout.store}/{infos['dead'].path.base}")
        with LocalStore(layout) as store:
            os.symlink(str(infos["alive"].path), f"{layout.gcroots}/alive")
            done = store.collect(Keep(), Goal())
            assert done.deleted == 2
            assert os.listdir(layout.store) == [infos["alive"].path.base]
            assert store.verify(contents=True, strays=True) == []
            os.unlink(f"{layout.gcroots}/alive")
            store.delete([infos["alive"].path], Keep())
            assert os.listdir(layout.store) == []
    assert len(os.listdir(base / "place/store")) == 3, "the lower layer is as it was"


def test_damage_is_repaired(base: Path) -> None:
    layout, infos = filled(base)
    info = infos["damaged"]
    with LocalStore(layout) as store:
        archive = b"".join(store.nar(info.path))
    with lowered(base), LocalStore(layout) as store:
        file = f"{layout.store}/{info.path.base}/a/b/c/file"
        os.chmod(file, 0o644)
        Path(file).write_text("spoilt")
        assert [one.kind for one in store.verify(contents=True)] == [FindingKind.MODIFIED]
        store.add_nar(info, [archive], repair=True)
        assert store.verify(contents=True, strays=True) == []


def test_an_object_takes_the_place_of_garbage(base: Path) -> None:
    layout, infos = filled(base)
    dead = infos["dead"].path
    with LocalStore(layout) as store:
        store.database.remove([dead])
    with lowered(base), LocalStore(layout) as store:
        assert store.add_path("dead", str(base / "sources/dead")) == dead
        assert store.verify(contents=True, strays=True) == []


def test_equal_files_are_made_one(base: Path) -> None:
    layout, infos = filled(base)
    before = {name: snapshot(f"{layout.store}/{info.path.base}") for name, info in infos.items()}
    with lowered(base), LocalStore(layout) as store:
        assert store.optimise(ALL).files
        for name, info in infos.items():
            assert snapshot(f"{layout.store}/{info.path.base}") == before[name]
        assert store.verify(contents=True, strays=True) == []


def test_an_output_is_taken_from_a_lower_layer(base: Path) -> None:
    layout, _ = filled(base)
    source = base / "place/area/out"
    (source / "deep/er").mkdir(parents=True)
    (source / "deep/er/file").write_text("x")
    give(str(source))
    with lowered(base):
        assert os.stat(source).st_uid == BUILD_UID
        refuses_renames(str(source))
        with LocalStore(layout) as store:
            info = take(store, str(source))
            assert not source.exists()
            assert store.inspect([info.path], contents=True) == []


def test_trees_of_any_depth_and_width_are_deleted(base: Path) -> None:
    tree = base / "place/tree"
    deep = tree
    for level in range(200):
        deep = deep / f"level-{level}"
        (deep / "side/inner").mkdir(parents=True)
        (deep / "file").write_text("x")
        os.chmod(deep / "side", 0o500)
    with lowered(base):
        parent = directory_fd(str(base / "place"))
        try:
            delete_tree(parent, b"tree")
        finally:
            os.close(parent)
        assert os.listdir(base / "place") == []
