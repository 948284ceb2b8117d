"""What the fetcher leaves word of: the build user's file, which may hold anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fruix.building.builders import scheme
from fruix.downloads.undelivered import Undelivered, others, read_report, write_report, wrong_contents
from fruix.model.hashes import Hash

WANTED, OTHER = Hash.of("sha256", b"a"), Hash.of("sha256", b"b")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = [Undelivered("http://a/x", "404"), Undelivered("http://b/x", "hash mismatch", OTHER.sri)]
    write_report(str(tmp_path / "report"), found)
    assert read_report(str(tmp_path / "report")) == found
    assert wrong_contents(found, WANTED) == ("http://b/x", OTHER)
    assert others(found, "http://b/x") == "\n  http://a/x: 404"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "null",
        "[1]",
        '[{"url": "x"}]',
        '{"url": 1, "why": 2, "got": 3}',
        "[null]",
        "\0",
    ],
)
def test_anything_else_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "report").write_text(text)
    assert read_report(str(tmp_path / "report")) == []


def test_only_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "good").write_text('[{"url": "x", "why": "y", "got": ""}]')
    assert read_report(str(tmp_path / "good"))
    (tmp_path / "link").symlink_to(tmp_path / "good")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for name in ("link", "pipe", "directory", "socket", "nothing"):
        assert read_report(str(tmp_path / name)) == []


def test_texts_are_short_and_printable(tmp_path: Path) -> None:
    write_report(str(tmp_path / "report"), [Undelivered("http://a/\x1b[2J", "x" * 5000, "sha256-no")])
    (found,) = read_report(str(tmp_path / "report"))
    assert found.url.isprintable()
    assert len(found.why) == 1000
    assert wrong_contents([found], WANTED) is None


def test_many_others_are_a_number() -> None:
    found = [Undelivered(f"http://a/{number}", "no") for number in range(100)]
    lines = others(found, "http://a/0").splitlines()
    assert (lines[1], lines[-1], len(lines)) == ("  http://a/1: no", "  … and 79 more", 22)


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ('((gnu "http://a/" "http://b/") (x "c"))', {"gnu": ("http://a/", "http://b/"), "x": ("c",)}),
        ('((gnu "a"))((gnu "b"))', {"gnu": ("a",)}),
        ('; (no "x")\n((a "(b)"))', {"a": ("(b)",)}),
        ('((a (b "c") "d") ("e" f) (g h "i"))', {"g": ("i",)}),
        ('(a "b")', {}),
        ('((a "b"', {}),
        ("", {}),
    ],
)
def test_lists_of_mirrors(text: str, lists: dict[str, tuple[str, ...]]) -> None:
    assert scheme.named_lists(text) == lists
