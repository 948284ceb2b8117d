"""The file of a root: the ones that Fruix brings, and what is said of files that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fruix.errors import UsageError
from fruix.packages.roots.pins import BASE, RUNTIME, Pins, file_of, read, shipped

WRITTEN = """
name = "small"
suite = "stable"
[wanted]
base = ["top"]
[systems.x86_64-linux]
architecture = "amd64"
loader = "lib/ld.so"
library_path = ["lib"]
"""
PIECE = '{name = "top", version = "1", path = "pool/top_1.deb", sha256 = "%s", size = 1, groups = ["base"]}'
PINNED = f"[pinned.pieces]\nx86_64-linux = [{PIECE % ('0' * 64)}]\n"


@pytest.fixture(params=shipped())
def root(request: pytest.FixtureRequest) -> Pins:
    return read(file_of(request.param))


def test_roots_that_fruix_brings(root: Pins) -> None:
    assert file_of(root.name) == root.file
    assert {"date", "inrelease", "snapshot"} == root.release.keys()
    assert root.pieces.keys() == root.systems.keys()
    assert root.links.keys() <= root.wanted.keys()


def test_pieces_of_a_root(root: Pins) -> None:
    for pieces in root.pieces.values():
        names = [piece.name for piece in pieces]
        assert names == sorted(set(names))
        groups = {group: {piece.name for piece in pieces if group in piece.groups} for group in root.wanted}
        assert set(names) == set().union(*groups.values())
        assert groups[RUNTIME] <= groups[BASE]
        assert not set(names) & set(root.without)
        for group, wanted in root.wanted.items():
            assert set(wanted) <= groups[group]
            assert group in {BASE, RUNTIME} or not groups[group] & groups[BASE]


def test_a_file_before_its_first_update(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(WRITTEN)
    pins = read(str(file))
    assert (pins.written, pins.pieces, pins.release, pins.links, pins.without) == (WRITTEN, {}, {}, {}, ())


WRONG: Mapping[str, tuple[str, str]] = {
    "name: is missing": (WRITTEN.replace('name = "small"', ""), ""),
    "suite: should be a str, not 12": (WRITTEN.replace('"stable"', "12"), ""),
    "wanted: 'Base' is not a group's name": (WRITTEN.replace("base =", "Base ="), ""),
    "wanted.base: should be a list of strings": (WRITTEN.replace('["top"]', "[1]"), ""),
    "systems.x86_64-linux.architecture: is missing": (WRITTEN.replace("architecture", "arch"), ""),
    "systems.x86_64-linux: '/lib' is not a path below the root": (WRITTEN.replace('["lib"]', '["/lib"]'), ""),
    "systems.x86_64-linux: 'a/../../b' is not": (WRITTEN.replace("lib/ld.so", "a/../../b"), ""),
    "links.base: '../up' is not a path": (WRITTEN + '[links.base]\n"../up" = "x"\n', ""),
    "links.base.a: should be a str, not 1": (WRITTEN + '[links.base]\n"a" = 1\n', ""),
    "pinned.pieces: pieces of a system that [systems] hasn't": (WRITTEN, PINNED.replace("x86", "y86")),
    "pinned.pieces.x86_64-linux[0].sha256: '00' is not": (WRITTEN, PINNED.replace("0" * 64, "00")),
    "pinned.pieces.x86_64-linux[0].path: '../x' is not": (WRITTEN, PINNED.replace("pool/top_1.deb", "../x")),
    "pinned.pieces.x86_64-linux[0].size: should be a int": (
        WRITTEN,
        PINNED.replace("size = 1", 'size = "1"'),
    ),
    "pinned.pieces.x86_64-linux[0].version: is missing": (WRITTEN, PINNED.replace("version", "v")),
    "can't be read": ("name = [", ""),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, words: str) -> None:
    file = tmp_path / "small.toml"
    file.write_text("".join(WRONG[words]))
    with pytest.raises(UsageError) as caught:
        read(str(file))
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no root 'debian-13'") as caught:
        file_of("debian-13")
    assert "debian-12" in caught.value.hint
    with pytest.raises(UsageError, match="can't be read"):
        read(str(tmp_path / "none.toml"))
