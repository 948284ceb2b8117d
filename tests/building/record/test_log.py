from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.building.record.log import MAX_LINE, BuildLog, phase_of
from fruix.building.record.log_reading import read_log


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.phases: list[str] = []


def open_log(path: Path, listener: Listener, *, keep: int = 25) -> BuildLog:
    return BuildLog(
        str(path),
        on_line=listener.lines.append,
        on_phase=listener.phases.append,
        keep_lines=keep,
    )


def test_lines_and_phases(tmp_path: Path) -> None:
    heard = Listener()
    log = open_log(tmp_path / "x" / "log.gz", heard)
    log.feed(b"one\ntw")
    log.feed(b"o\n@ fruix phase build\nthree")
    log.close()
    assert heard.lines == ["one", "two", "three"]
    assert heard.phases == ["build"]
    assert list(log.last_lines) == ["one", "two", "three"]


def test_the_file_holds_what_the_builder_wrote(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    log = open_log(path, Listener())
    text = b"\xff\x00\x1b[31mred\r\n@ fruix phase x\nno end"
    log.feed(text)
    log.close()
    assert gzip.decompress(path.read_bytes()) == text
    assert b"".join(read_log(str(path))) == text


def test_a_running_log_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    log = open_log(path, Listener())
    log.feed(b"so far\n")
    log.flush()
    assert b"".join(read_log(str(path))) == b"so far\n"
    log.close()


def test_output_without_line_ends_is_cut(tmp_path: Path) -> None:
    heard = Listener()
    log = open_log(tmp_path / "log.gz", heard)
    for _ in range(10):
        log.feed(b"x" * MAX_LINE)
    log.close()
    assert "".join(heard.lines) == "x" * MAX_LINE * 10
    assert max(map(len, heard.lines)) <= MAX_LINE


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.gz", Listener(), keep=2)
    log.feed(b"a\nb\nc\n")
    log.close()
    assert list(log.last_lines) == ["b", "c"]


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        (b"@ fruix phase check", "check"),
        (b'@nix {"action":"setPhase","phase":"unpackPhase"}', "unpackPhase"),
        (b'@nix {"action":"msg","phase":"x"}', None),
        (b"@nix not json", None),
        (b'@nix ["setPhase"]', None),
        (b"@ fruix phase ", None),
        (b"@ fruix phase \x1b[2J", None),
        (b" @ fruix phase x", None),
        (b"phase x", None),
    ],
)
def test_marks(line: bytes, phase: str | None) -> None:
    assert phase_of(line) == phase


def test_progress_is_no_line(tmp_path: Path) -> None:
    heard = Listener()
    seen: list[tuple[int, int, str]] = []
    log = BuildLog(
        str(tmp_path / "log.gz"),
        on_line=heard.lines.append,
        on_phase=heard.phases.append,
        on_progress=lambda *what: seen.append(what),
        keep_lines=9,
    )
    log.feed(b"@ fruix progress 5 10 http://x/y\n@ fruix progress x 1 y\n@ fruix progress 5\n")
    log.close()
    assert seen == [(5, 10, "http://x/y")]
    assert len(heard.lines) == 2


@given(st.lists(st.binary(max_size=40)))
def test_chunk_borders_do_not_matter(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    directory = tmp_path_factory.mktemp("log")
    pieces, whole = Listener(), Listener()
    for name, listener, parts in (("a", pieces, chunks), ("b", whole, [b"".join(chunks)])):
        log = open_log(directory / name, listener)
        for part in parts:
            log.feed(part)
        log.close()
    assert (pieces.lines, pieces.phases) == (whole.lines, whole.phases)
