"""A build's directories: as they have to be, and gone afterwards, whatever lies in them."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from fruix.building import kept_points, spare
from fruix.building import workspace as module
from fruix.building.workspace import workspace
from fruix.sandbox.back_ends import current
from fruix.sandbox.linux import userns

UID = 0 if userns.confined() else 35005  # without root there is no other
NAME = "frx-test"


def test_each_directory_has_its_owner_and_its_mode(tmp_path: Path) -> None:
    with workspace(str(tmp_path), NAME, UID, UID) as area:
        found = {}
        for name in ("root", "build", "tmp", "store"):
            status = os.lstat(f"{area.base}/{name}")
            found[name] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    outer = 0 if current().user_namespaces else UID
    assert found == {
        "root": (0o700, 0, 0),
        "build": (0o700, UID, UID),
        "tmp": (0o1777, 0, outer),
        "store": (0o1775, 0, UID),
    }


def test_empty_ones_with_their_mount_points_go_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "delete_tree", None)
    for points in ({"a", "b"}, None):
        with workspace(str(tmp_path), NAME, UID, UID, points) as area:
            for point in points or ():
                os.mkdir(f"{area.store}/{point}", 0o755)
        assert os.listdir(tmp_path) == ["spare"]


def test_a_few_mount_points_stay_for_a_build_that_needs_the_same(tmp_path: Path) -> None:
    def build(*points: str, missing: bool = False, odd: bool = False) -> list[str]:
        with workspace(str(tmp_path), NAME, UID, UID, points) as area:
            found = sorted(os.listdir(area.store))
            for point in () if missing else points:
                Path(area.store, point).mkdir(0o755, exist_ok=True)
                if odd:
                    os.chmod(f"{area.store}/{point}", 0o777)
        return found

    assert build("a", "b") == []
    assert build("b", "a") == ["a", "b"]
    assert build("a", "c") == []  # others are not left in it
    assert build("a", "c") == ["a", "c"]
    assert build() == []
    assert build("d", missing=True) == []
    assert build("d") == []
    assert build("d", odd=True) == ["d"]
    assert build("d") == []
    many = [f"{number}" for number in range(kept_points.FEWEST)]
    for found in ([], sorted(many)):  # those are kept without what is around them
        assert build(*many) == found
    assert os.listdir(tmp_path / "points") != []


def test_empty_ones_are_used_again_but_for_the_builder_s_own(tmp_path: Path) -> None:
    def inodes(base: str) -> dict[str, int]:
        return {name: os.stat(f"{base}/{name}").st_ino for name in (".", "root", "build", "tmp", "store")}

    with workspace(str(tmp_path), NAME, UID, UID, ()) as area:
        first = inodes(area.base)
        os.chmod(area.build, 0o777)
    own = UID and UID + 1
    with workspace(str(tmp_path), f"{NAME}-2", own, own, ()) as area:
        again = inodes(area.base)
        for name in ("root", "tmp", "store"):
            assert os.listdir(f"{area.base}/{name}") == []
        assert os.stat(area.store).st_gid == own
        assert stat.S_IMODE(os.stat(area.build).st_mode) == 0o700
    assert {name for name in first if first[name] == again[name]} >= {".", "root", "tmp", "store"}
    with workspace(str(tmp_path), NAME, UID, UID, None) as area:
        assert inodes(area.base)["."] != first["."]
    assert os.listdir(tmp_path / "spare") == ["0"]


def test_one_that_an_older_daemon_has_kept_is_used(tmp_path: Path) -> None:
    """It has no working directory."""
    for name in ("root", "tmp", "store"):
        (tmp_path / "spare" / "0" / name).mkdir(parents=True)
    with workspace(str(tmp_path), NAME, UID, UID, ()) as area:
        assert stat.S_IMODE(os.stat(area.build).st_mode) == 0o700
    assert os.listdir(tmp_path / "spare" / "0") != []


def test_no_more_are_kept_than_are_used(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for number in range(spare.MOST + 2):
            stack.enter_context(workspace(str(tmp_path), f"{NAME}-{number}", UID, UID, ()))
    assert os.listdir(tmp_path) == ["spare"]
    assert len(os.listdir(tmp_path / "spare")) == spare.MOST


@pytest.mark.parametrize("place", ["build", "tmp", "store"])
def test_none_is_kept_with_something_in_it(tmp_path: Path, place: str) -> None:
    with workspace(str(tmp_path), NAME, UID, UID, ()) as area:
        Path(area.base, place, "left").touch()
    assert os.listdir(tmp_path) == []


def test_one_that_has_been_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def grown(parent: int, path: str) -> os.stat_result:
        found = list(os.stat(path, dir_fd=parent))
        found[stat.ST_SIZE] += path.endswith("/tmp")
        return os.stat_result(found)

    monkeypatch.setattr(spare, "lstat", grown)
    with workspace(str(tmp_path), NAME, UID, UID, ()):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["build", "tmp", "store"])
def test_what_is_left_in_one_goes_too(tmp_path: Path, place: str) -> None:
    with workspace(str(tmp_path), NAME, UID, UID, {"a"}) as area:
        os.mkdir(f"{area.store}/a")
        Path(area.base, place, "left").write_text("x")
        Path(area.base, place, "tree").mkdir()
    assert os.listdir(tmp_path) == []


def test_a_mount_point_that_is_a_file_or_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "builds").mkdir()
    (tmp_path / "empty").mkdir()
    with workspace(str(tmp_path / "builds"), NAME, UID, UID, {"a", "b"}) as area:
        Path(area.store, "a").touch()
        os.symlink(tmp_path / "empty", f"{area.store}/b")
    assert sorted(os.listdir(tmp_path)) == ["builds", "empty"]
    assert os.listdir(tmp_path / "builds") == []


def test_a_failure_goes_on_behind_them(tmp_path: Path) -> None:
    with pytest.raises(KeyError), workspace(str(tmp_path), NAME, UID, UID):
        raise KeyError
    assert os.listdir(tmp_path) == []
