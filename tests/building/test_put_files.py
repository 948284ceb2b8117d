"""Files put into a builder's directory: plain names, new files, nothing followed (chown races)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fruix.building.workspace import Workspace, put_files
from fruix.errors import BadDerivationError
from fruix.sandbox.linux import userns

UID = 0 if userns.confined() else 35005  # without root there is no other


@pytest.fixture
def area(tmp_path: Path) -> Workspace:
    (tmp_path / "build").mkdir()
    return Workspace("frx-test", str(tmp_path))


def test_only_the_new_file_changes_its_owner(area: Workspace) -> None:
    put_files(area, {".attr-x": b"data", "graph": b""}, UID)
    build = Path(area.build)
    assert (build / ".attr-x").read_bytes() == b"data"
    for name in (".attr-x", "graph"):
        status = (build / name).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (UID, UID, 0o644)
    assert build.stat().st_uid == 0


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/x", "", ".", "..", "x\0y"])
def test_names_are_plain(area: Workspace, name: str) -> None:
    with pytest.raises(BadDerivationError, match="can't be the name"):
        put_files(area, {name: b"x"}, UID)
    assert os.listdir(area.build) == []


def test_nothing_is_replaced_or_followed(area: Workspace, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    os.symlink(victim, f"{area.build}/graph")
    with pytest.raises(FileExistsError):
        put_files(area, {"graph": b"x"}, UID)
    assert (victim.read_text(), victim.stat().st_uid) == ("whole", 0)
    (tmp_path / "build").rename(tmp_path / "moved")
    os.symlink(tmp_path, area.build)
    with pytest.raises(OSError):
        put_files(area, {"victim2": b"x"}, UID)
    assert not (tmp_path / "victim2").exists()


def test_somebody_flips_the_directory(area: Workspace, tmp_path: Path) -> None:
    """While another swaps the directory for a link to a canary, no file of the canary changes its owner."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "kept").write_text("x")
    done = threading.Event()

    def flip() -> None:
        while not done.is_set():
            os.rename(area.build, tmp_path / "aside")
            os.symlink(canary, area.build)
            os.unlink(area.build)
            os.rename(tmp_path / "aside", area.build)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        for number in range(500):
            try:
                put_files(area, {f"f{number}": b"x", "kept" + str(number): b""}, UID)
            except OSError:
                continue
    finally:
        done.set()
        thread.join()
    assert os.listdir(canary) == ["kept"]
    assert (canary / "kept").stat().st_uid == 0
