"""Completions in bash, fish and zsh: of commands, options, their values, packages and files."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fruix.cli.output.completion import PLACES, completion
from waiting import read_until

# A line as far as it was typed, and its last word when it is completed.
LINES = {
    "fruix dae": "daemon",
    "fruix why-r": "why-rebuild",
    "fruix store ver": "verify",
    "fruix store verify --cont": "--contents",
    "fruix build --dry": "--dry-run",
    "fruix build hel": "hello",
    "fruix build fig": "figs.py",
    "fruix build -f fig": "figs.py",
    "fruix edit hel": "hello",
    "fruix why hello pkgc": "pkgconf",
    "fruix graph -f sv": "svg",
    "fruix root upd": "update",
    "fruix root show deb": "debian-12",
    "fruix root diff debian-12 fig": "figs.py",
    "fruix help sto": "store",
    "fruix help --completion zs": "zsh",
}
BASH = """
source "$1"
COMP_WORDS=($2) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$2
_shtab_fruix
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with one file, and with the program on the search path."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "fruix"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={Path(__file__).parents[3] / "src"} exec {sys.executable} -m fruix "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "figs.py").write_text("")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FRUIX_PACKAGE_PATH", raising=False)
    for shell in PLACES:
        (tmp_path / shell).mkdir()
        (tmp_path / shell / "_fruix").write_text(completion(shell))
    return tmp_path


def by_bash(home: Path, line: str) -> list[str]:
    words: list[str | Path] = ["bash", "--norc", "-c", BASH, "bash", home / "bash/_fruix", line]
    return subprocess.check_output(words, text=True).split("\n")[:-1]


def by_fish(home: Path, line: str) -> list[str]:
    words: list[str | Path] = [
        "fish",
        "--no-config",
        "-c",
        "source $argv[1]; complete -C $argv[2]",
        home / "fish/_fruix",
        line,
    ]
    return [row.partition("\t")[0] for row in subprocess.check_output(words, text=True).splitlines()]


@pytest.mark.parametrize("ask", [by_bash, by_fish])
def test_in_bash_and_fish(home: Path, ask: Callable[[Path, str], list[str]]) -> None:
    for line, word in LINES.items():
        assert ask(home, line) == [word], line


class Terminal:
    """An interactive zsh, in which `fruix` says its arguments, but for what completions ask."""

    def __init__(self, home: Path) -> None:
        self.end, inner = pty.openpty()
        environment = {**os.environ, "PS1": "%% ", "TERM": "dumb"}
        self.shell = subprocess.Popen(
            ["zsh", "-f", "-i"],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environment,
            start_new_session=True,
        )
        os.close(inner)
        self.enter(f"fpath=({home}/zsh $fpath); autoload -Uz compinit; compinit -u -D")
        self.enter(
            "fruix() { if [[ $1 = packages ]]; then command fruix $@; else echo got: ${(j:+:)@}.; fi }"
        )

    def enter(self, line: str) -> None:
        os.write(self.end, f"{line}\n".encode())

    def arguments(self) -> list[str]:
        """The arguments of the next `fruix` on the line."""
        read_until(self.end, b"\ngot: ")
        end = b".\r\n"
        return read_until(self.end, end).removesuffix(end).decode().split("+")

    def close(self) -> None:
        os.close(self.end)
        self.shell.kill()
        self.shell.wait()


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    terminal = Terminal(home)
    yield terminal
    terminal.close()


def test_in_zsh(terminal: Terminal) -> None:
    for line, word in LINES.items():
        terminal.enter(f"{line}\t")
        assert terminal.arguments() == [*line.split()[1:-1], word], line
