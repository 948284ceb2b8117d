"""Wrong definitions and broken files: every command says the same, once, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.cli.command_line import main
from fruix.packages import load
from fruix.packages.modules import Modules

GOOD = (
    "package = Package(name='{name}', version='1', build_system='trivial', arguments={{'script': 'true'}})\n"
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(load, "_MODULES", Modules(load._WORDS))
    monkeypatch.setenv(load.PATH_VARIABLE, f"{tmp_path}:{tmp_path}/missing")
    (tmp_path / "good.py").write_text(GOOD.format(name="good"))
    (tmp_path / "bad.py").write_text("\npackage = Package(name='bad', version=1.10)\n")
    (tmp_path / "needs_bad.py").write_text("package = find('bad').inherit(name='needs-bad')\n")
    return tmp_path


@pytest.mark.parametrize(
    "words", [("lint", "-f"), ("build", "-n", "-f"), ("build", "-f"), ("lint", ""), ("edit", "")]
)
def test_every_command_says_the_same(
    directory: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    file = f"{directory}/bad.py"
    assert main([*words[:-1], *([words[-1], file] if words[-1] else ["bad"])]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"fruix: error: {file}:2: bad: field 'version' should be a text, not 1.1\n"
        'hint: write it in quotes: a number loses zeros at its end ("1.10" is not 1.1)\n'
    )


@pytest.mark.parametrize("words", [("packages",), ("graph",)])
def test_a_broken_file_is_named_once_and_the_rest_shown(
    directory: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "hello" in shown.out
    assert "good" in shown.out
    assert "bad" not in shown.out
    assert shown.err == (
        f"fruix: warning: {directory}/missing: can't read a directory of FRUIX_PACKAGE_PATH: "
        "No such file or directory\n"
        "hint: correct FRUIX_PACKAGE_PATH\n"
        f"fruix: warning: {directory}/bad.py:2: bad: field 'version' should be a text, not 1.1 "
        "(left out: bad, needs-bad)\n"
        'hint: write it in quotes: a number loses zeros at its end ("1.10" is not 1.1)\n'
    )


def test_lint_counts_broken_files_as_errors(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "-l", "error"]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{directory}/missing: error: can't read a directory")
    assert second.startswith(f"{directory}/bad.py:2: error: bad: field 'version' should be a text")
    assert second.endswith("(left out: bad, needs-bad)")
    assert "2 errors" in last
