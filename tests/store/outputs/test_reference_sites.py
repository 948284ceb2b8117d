"""Which files of an object mention a path."""

from __future__ import annotations

import os
from pathlib import Path

from fruix.store.outputs.reference_sites import mentions

ONE, TWO = b"0" * 31 + b"1", b"0" * 31 + b"2"


def test_places(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "bin").mkdir(parents=True)
    (top / "bin" / "tool").write_bytes(b"x" * 70_000 + ONE)
    (top / "bin" / "link").symlink_to(os.fsdecode(b"/frx/store/" + ONE))
    (top / os.fsdecode(ONE)).mkdir()
    (top / "other").write_bytes(ONE[:31])
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        found = mentions(directory, b"top", [ONE, TWO], most=5)
        assert found == {ONE: [os.fsdecode(ONE), "bin/link", "bin/tool"], TWO: []}
        assert mentions(directory, b"top", [ONE], most=1) == {ONE: [os.fsdecode(ONE)]}
    finally:
        os.close(directory)


def test_a_name_and_what_follows_it_are_no_mention_together(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / os.fsdecode(ONE[:16])).write_bytes(ONE[16:])
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert mentions(directory, b"top", [ONE]) == {ONE: []}
    finally:
        os.close(directory)


def test_the_top_itself(tmp_path: Path) -> None:
    (tmp_path / "top").write_bytes(ONE)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert mentions(directory, b"top", [ONE]) == {ONE: [""]}
    finally:
        os.close(directory)


def test_names_are_shown_on_one_line(tmp_path: Path) -> None:
    """A name can't forge lines of a log or of a protocol."""
    (tmp_path / "top").mkdir()
    for name in (b"x\n@ build-succeeded", b"\x1b[2J", b"\xff"):
        (tmp_path / "top" / os.fsdecode(name)).write_bytes(ONE)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        places = mentions(directory, b"top", [ONE])[ONE]
    finally:
        os.close(directory)
    assert places == ["\\x1b[2J", "x\\n@ build-succeeded", "\\udcff"]
