"""`fruix graph`: the format is the file's, and what can't be drawn is refused before a file is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.cli.command_line import main


@pytest.mark.parametrize(
    ("words", "file", "beginning"),
    [
        ("", "g.svg", "<svg "),
        ("", "g.SVG", "<svg "),
        ("", "g.gv", "digraph "),
        ("", "g.dot", "digraph "),
        ("", "g", "digraph "),
        ("-f svg", "g.png", "<svg "),
    ],
)
def test_formats(words: str, file: str, beginning: str, tmp_path: Path) -> None:
    path = tmp_path / file
    assert main(["graph", "zlib", "-o", str(path), *words.split()]) == 0
    assert path.read_text().startswith(beginning)


@pytest.mark.parametrize("ending", ["png", "pdf", "x y"])
def test_other_formats_are_refused(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["graph", "-t", "inputs", "zlib", "-o", f"g.{ending}"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"g.{ending}: graphs are written as DOT or SVG, not as {ending}\n" in shown.err
    assert (
        "hint: fruix graph -t inputs zlib -o g.svg; or by Graphviz: fruix graph -t inputs zlib | dot -T"
        in shown.err
    )
    assert list(tmp_path.iterdir()) == []
