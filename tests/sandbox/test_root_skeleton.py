"""Directories, files and links of a sandbox's root: only plain absolute paths are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruix.sandbox.root_skeleton import make_links
from fruix.sandbox.spec import Link


@pytest.mark.parametrize("path", ["b", "./b", "../b", "/a/../b", "/..", "/", ""])
def test_other_paths_are_refused_also_after_one_whose_directory_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="not a plain absolute path"):
        make_links([Link("/a", "x"), Link(path, "x")])
    assert os.listdir(tmp_path) == ["a"]


def test_paths_in_one_directory_and_in_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_links([Link(path, path) for path in ("/a", "/b", "/c/a", "/c/b", "/d", "/c/d/e")])
    found = {
        f"/{path.relative_to(tmp_path)}": os.readlink(path)
        for path in tmp_path.rglob("*")
        if path.is_symlink()
    }
    assert found == {path: path for path in ("/a", "/b", "/c/a", "/c/b", "/d", "/c/d/e")}
