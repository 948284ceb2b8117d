"""The files in `examples/` are built, by the README's words, and what comes of them works.

On a private /frx.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.cli.command_line import main
from rooted import rooted_frx

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "METADATA"))
}
# File: the program of its last package, with arguments; what it reads; what it prints.
EXAMPLES = {
    "greet.py": (("greet", "Ada"), "", "Hello, Ada!\n"),
    "shout.py": (("shout", "hello", "world"), "", "HELLO WORLD\n"),
    "tally.py": (("tally",), "a rose is a rose", "2 a\n2 rose\n1 is\n"),
}
FILES = sorted(path.name for path in ROOT.joinpath("examples").glob("*.py"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with rooted_frx(tmp_path_factory):
        yield


def test_all_are_tried() -> None:
    assert sorted(EXAMPLES) == FILES


@pytest.mark.parametrize("file", FILES)
def test_an_example_is_built_and_works(file: str, place: None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fruix", "build", f"examples/{file}"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (name, *words), given, printed = EXAMPLES[file]
    program = f"{done.stdout.splitlines()[-1]}/bin/{name}"
    assert subprocess.check_output([program, *words], input=given, text=True) == printed


def test_there_is_nothing_to_say_against_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", *(f"{ROOT}/examples/{file}" for file in FILES)]) == 0
    assert "0 errors, 0 warnings, 0 notes" in capsys.readouterr().out


def test_the_first_one_is_in_the_readme() -> None:
    text = ROOT.joinpath("examples/greet.py").read_text()
    lines = text[text.index("package = ") :].splitlines()
    assert len(lines) == 10
    assert "".join(f"    {line}\n" for line in lines) in ROOT.joinpath("README.md").read_text()
