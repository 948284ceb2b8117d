"""`./x.py` on the command line is a file with definitions, unless it is a store path."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.cli.command_line import main
from fruix.cli.request.definition_files import separate

GOOD = "package = Package(name='fig', version='1', build_system='trivial', arguments={'script': 'true'})\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRUIX_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.delenv("FRUIX_PACKAGE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "fig.py").write_text(GOOD)
    return tmp_path


def test_words_and_files(here: Path) -> None:
    (here / "store" / "a-fig.py").write_text("")
    (here / "result.py").symlink_to(here / "store" / "a-fig.py")
    files = ["./fig.py", "fig.py", str(here / "fig.py"), "./absent.py"]
    others = ["fig", "absent.py", "./fig", str(here / "store" / "a-fig.py"), "./result.py"]
    assert separate([*others, *files]) == (others, files)


def test_commands_take_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "./fig.py", "--level", "error"]) == 1  # it has warnings
    assert "1 package: 0 errors" in capsys.readouterr().out
    for command in ("build", "lint"):
        assert main([command, "./absent.py"]) == 2
        assert "./absent.py: can't read package file" in capsys.readouterr().err
