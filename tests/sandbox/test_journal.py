"""Notes of builds: one file each, used again when it is forgotten."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from fruix.sandbox.journal import Journal, JournalEntry

LONG = JournalEntry("frx-long", 35001, ("a" * 40, "b" * 40), drv="x.drv", kind="build")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal"))


def inode(place: Path, name: str) -> int:
    return os.stat(place / "journal" / f"{name}.json").st_ino


def test_a_file_is_used_again_and_nothing_is_left_in_it(tmp_path: Path, journal: Journal) -> None:
    journal.write(LONG)
    first = inode(tmp_path, "frx-long")
    journal.forget("frx-long")
    assert os.listdir(tmp_path / "journal") == []
    assert [file.read_bytes() for file in (tmp_path / "journal-spare").iterdir()] == [b""]
    journal.write(JournalEntry("frx-short"))
    assert inode(tmp_path, "frx-short") == first
    assert json.loads((tmp_path / "journal" / "frx-short.json").read_bytes())["outputs"] == []
    assert journal.left_over() == [JournalEntry("frx-short")]


def test_a_few_are_kept(tmp_path: Path, journal: Journal) -> None:
    names = [f"frx-{number}" for number in range(9)]
    for _ in range(2):
        for name in names:
            journal.write(JournalEntry(name))
        assert [entry.name for entry in journal.left_over()] == names
        for name in names:
            journal.forget(name)
    assert os.listdir(tmp_path / "journal") == []
    assert len(os.listdir(tmp_path / "journal-spare")) == 4


def test_whoever_takes_one_away_is_no_harm(tmp_path: Path, journal: Journal) -> None:
    """As two daemons would that share a directory."""
    journal.write(LONG)
    journal.forget("frx-long")
    for file in (tmp_path / "journal-spare").iterdir():
        file.unlink()
    journal.write(LONG)
    assert journal.left_over() == [LONG]
    (tmp_path / "journal-spare").rmdir()
    journal.forget("frx-long")
    assert journal.left_over() == []


def test_where_none_can_be_kept_it_is_removed(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / "journal-spare").write_text("in the way")
    journal.write(LONG)
    journal.forget("frx-long")
    assert os.listdir(tmp_path / "journal") == []
    journal.write(LONG)
    assert journal.left_over() == [LONG]


def test_one_that_is_not_there_cannot_be_forgotten(journal: Journal) -> None:
    journal.write(LONG)
    for _ in range(9):
        with pytest.raises(FileNotFoundError):
            journal.forget("frx-other")
    journal.forget("frx-long")
    journal.write(LONG)
    assert journal.left_over() == [LONG]


def test_without_descriptors_no_empty_note_is_left(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write(LONG)
    journal.forget("frx-long")

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(OSError, match="too many"):
            journal.write(LONG)
    assert os.listdir(tmp_path / "journal") == []
