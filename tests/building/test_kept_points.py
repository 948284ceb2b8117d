"""Mount points that one build's sandbox leaves to the next: they alone stay, and nothing else does."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fruix.building import kept_points
from fruix.building.builders.prepare import prepare
from fruix.building.crashed import POINTS
from fruix.dataclass import replace
from fruix.model.build_options import BuildOptions
from fruix.sandbox.networks import HOST
from fruix.sandbox.root_skeleton import make_target
from machine import machine, shares_user

BUILDS = Path("/frx/var/fruix/builds")
KEPT = BUILDS / POINTS
LOOK = "ls -a $NIX_STORE > $out; for i in $inputs; do cat $i/file >> $out; done"
LEAVE = "cd $NIX_STORE; mkdir left; echo x > left/x; echo x > x; mkdir {0}; echo > $out"


@pytest.fixture(autouse=True)
def from_two_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_points, "FEWEST", 2)


@pytest.mark.skipif(shares_user(), reason="machine: builds run as the daemon's own user")
def test_a_build_takes_the_mount_points_of_the_one_before(tmp_path: Path) -> None:
    with machine() as here:
        shell = here.shell(tmp_path)
        (tmp_path / "tree").mkdir()
        inputs = {}
        for name in "abcd":
            (tmp_path / "tree/file").write_text(name)
            inputs[name] = here.store.add_path(name, str(tmp_path / "tree"))

        def build(name: str, script: str, seen: str) -> str:
            paths = [inputs[one] for one in seen]
            env = {"inputs": " ".join(map(str, paths))}
            drv = here.derivation(name, script, shell, sources=paths, env=env)
            (result,) = here.build(drv)
            assert result.success, result.message
            return here.output(drv).read_text()

        # Also an empty directory that has the name of what the next build sees.
        build("one", LEAVE.format(inputs["d"].base), "abc")
        (first,) = KEPT.iterdir()
        made = {path.name: path.stat().st_ino for path in first.iterdir()}
        assert made.keys() == {path.base for path in (shell, *(inputs[one] for one in "abc"))}
        assert stat.S_IMODE(first.stat().st_mode) == 0o700

        seen = build("two", LOOK, "abd")
        wanted = {path.base for path in (shell, *(inputs[one] for one in "abd"))}
        lines = seen.splitlines()
        assert {line for line in lines if len(line) > 32 and not line.endswith("-two")} == wanted
        assert sum(len(line) > 32 for line in lines) == len(wanted) + 1, "nothing else but the output"
        assert "left" not in lines
        assert seen.endswith("abd")
        (second,) = KEPT.iterdir()
        assert second.name != first.name
        points = {path.name: path.stat().st_ino for path in second.iterdir()}
        assert points.keys() == wanted
        same = wanted & made.keys()
        assert {name: points[name] for name in same} == {name: made[name] for name in same}


def test_whose_descriptors_may_get_out_or_who_is_given_copies_leaves_none(tmp_path: Path) -> None:
    with machine() as here:
        drv = here.derivation("one", "", here.shell(tmp_path))
        derivation = here.store.read_derivation(drv)
        builder = prepare(drv, derivation, BuildOptions("fruix"), here.builder._resources)
        assert builder.lasting_points == {here.shell(tmp_path).base}
        assert replace(builder, network=HOST).lasting_points is None
        assert replace(builder, talks=True).lasting_points is None


@pytest.mark.skipif(os.geteuid() != 0 or shares_user(), reason="machine: gives files to others")
def test_only_empty_ones_of_root_are_kept(tmp_path: Path) -> None:
    store = tmp_path / "frx-a" / "store"
    store.mkdir(parents=True)
    for name in ("one", "two", "builder's", "open"):
        (store / name).mkdir(mode=0o755)
    for name in ("file", "builder's file", "full"):
        (store / name).touch(0o444)
    (store / "link").symlink_to("/etc")
    os.chown(store / "builder's", 35001, 35001)
    os.chown(store / "builder's file", 35001, 35001)
    (store / "open").chmod(0o777)
    (store / "full").write_text("x")
    builds = os.open(tmp_path, os.O_RDONLY)
    try:
        kept_points.keep(builds, "frx-a", "store")
        assert sorted(os.listdir(tmp_path / "points/frx-a")) == ["file", "one", "two"]
        assert os.listdir(tmp_path / "frx-a") == []
    finally:
        os.close(builds)


def directory(place: Path, names: str) -> None:
    for name in names:
        (place / name).mkdir(parents=True)


def test_the_one_that_fits_best_is_taken_and_one_of_others_inputs_is_not(tmp_path: Path) -> None:
    directory(tmp_path / "points/frx-a", "abcxyz")
    directory(tmp_path / "points/frx-b", "abcd")
    directory(tmp_path / "points/frx-c", "uvwabc")
    directory(tmp_path, "n")
    builds, base = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "n", os.O_RDONLY)
    try:
        assert kept_points.take(builds, base, "store", set("abce"))
        assert sorted(os.listdir(tmp_path / "n/store")) == ["a", "b", "c"]
        assert sorted(os.listdir(tmp_path / "points")) == ["frx-a", "frx-c"]
        assert not kept_points.take(builds, base, "other", set("opqr")), (
            "there is more to delete than to keep"
        )
        assert not kept_points.take(builds, base, "other", {"a"}), "one is made as quickly"
    finally:
        os.close(builds)
        os.close(base)


def test_no_more_are_kept_than_a_few(tmp_path: Path) -> None:
    builds = os.open(tmp_path, os.O_RDONLY)
    try:
        for number in range(kept_points.MOST + 2):
            directory(tmp_path / f"frx-{number}/store", "ab")
            os.utime(tmp_path / f"frx-{number}/store")
            kept_points.keep(builds, f"frx-{number}", "store")
    finally:
        os.close(builds)
    assert sorted(os.listdir(tmp_path / "points")) == [
        f"frx-{number}" for number in range(2, 2 + kept_points.MOST)
    ]
    assert os.listdir(tmp_path / f"frx-{kept_points.MOST}") == ["frx-0"], (
        "to be deleted with that build's own"
    )


def test_a_mount_point_of_the_other_kind_is_made_anew(tmp_path: Path) -> None:
    directory(tmp_path, "ab")
    (tmp_path / "c").touch()
    place = os.open(tmp_path, os.O_RDONLY)
    try:
        make_target(place, "a", stat.S_IFREG)
        make_target(place, "b", stat.S_IFDIR)
        make_target(place, "c", stat.S_IFDIR)
    finally:
        os.close(place)
    assert (tmp_path / "a").is_file()
    assert (tmp_path / "b").is_dir()
    assert (tmp_path / "c").is_dir()
