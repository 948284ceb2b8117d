"""What the operator shows of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.building.builders.sandbox_paths import sandbox_paths
from fruix.daemon.setting_checks import sandbox_paths as check
from fruix.errors import SandboxError
from fruix.sandbox import Bind

AREAS = (("store", "/frx/store"), ("tmp", "/tmp"), ("build", "/build"))


def test_files_and_directories_at_their_place_or_another(tmp_path: Path) -> None:
    entries = (str(tmp_path), f"/bin/sh={tmp_path}", f"{tmp_path}/none?", f"/x={tmp_path}?")
    assert sandbox_paths(entries, AREAS) == (
        Bind(str(tmp_path), str(tmp_path)),
        Bind(str(tmp_path), "/bin/sh"),
        Bind(str(tmp_path), "/x"),
    )


@pytest.mark.parametrize("entry", ["/frx", "/frx/store", "/tmp", "/etc=/usr", "/proc"])
def test_what_is_the_builds_own_is_not_hidden(entry: str) -> None:
    entry = entry if "=" in entry else f"{entry}=/usr"
    with pytest.raises(SandboxError, match="is the build's own"):
        sandbox_paths([entry], AREAS)


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="/none' doesn't exist"):
        sandbox_paths([f"{tmp_path}/none"], AREAS)


@pytest.mark.parametrize("entry", ["a", "/a/", "/a=b", "/", "/a/../b", "/a=/b/?", ""])
def test_names_that_are_none(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        check([entry])
