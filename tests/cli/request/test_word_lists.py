"""Paths of a command from a file or standard input: as many as there are."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.serving import Running, layout, running
from fruix.cli.parser import Parser, configured_parsers
from fruix.cli.request.word_lists import WordList, add_paths
from fruix.errors import UsageError
from store.many_paths import fill, path_of

COUNT = 5000


def parse(*words: str) -> list[str]:
    parser = Parser(prog="fruix x")
    add_paths(parser)
    return list(parser.parse_args(words).paths)


def test_words_of_a_file_stand_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(b"b\n\n@c\r\n-d\n\xff e\nf")
    assert parse("a", f"@{tmp_path}/words", "g") == ["a", "b", "@c", "-d", os.fsdecode(b"\xff e"), "f", "g"]


def test_words_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    assert parse("@-") == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="closed"):
        parse("@-")


def test_what_can_t_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"@{tmp_path}/missing")
    assert str(caught.value) == f"can't read '{tmp_path}/missing': No such file or directory"
    assert "./@NAME" in caught.value.hint
    (tmp_path / "empty").write_bytes(b"\n")
    with pytest.raises(UsageError, match="there is nothing in"):
        parse(f"@{tmp_path}/empty")


def _lists() -> Iterator[tuple[str, argparse.Action]]:
    for name, parser in configured_parsers()[1].items():
        yield from _lists_of(name, parser)


def _lists_of(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner, choice in action.choices.items():
                yield from _lists_of(f"{name} {inner}", choice)
        elif action.nargs in {"+", "*"} and "PATH" in str(action.metavar):
            yield f"{name}: {action.dest}", action


def test_every_list_of_paths_may_stand_in_a_file() -> None:
    found = dict(_lists())
    assert len(found) >= 8
    assert [name for name, action in found.items() if not isinstance(action, WordList)] == []


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    fill(layout(tmp_path), COUNT)
    with running(tmp_path) as found:
        yield found


def memory_of(daemon: Running, file: Path, *words: str) -> tuple[int, bytes]:
    """The peak memory of a command in KiB, and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fruix", *words, f"@{file}"],
        stdout=subprocess.PIPE,
        env={**os.environ, "FRUIX_DAEMON_SOCKET": daemon.path, "FRUIX_STORE_DIR": daemon.store.directory},
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss, printed


@pytest.mark.parametrize("command", ["info", "references"])
def test_thousands_of_paths_on_one_command(daemon: Running, tmp_path: Path, command: str) -> None:
    some, all_of_them = tmp_path / "some", tmp_path / "all"
    lines = [path_of(daemon.store.directory, number) + "\n" for number in range(1, COUNT + 1)]
    some.write_text("".join(lines[:10]))
    all_of_them.write_text("".join(lines))
    few, _ = memory_of(daemon, some, "store", command)
    many, printed = memory_of(daemon, all_of_them, "store", command)
    assert printed.count(b"\n") == (COUNT * 8 if command == "info" else COUNT // 2)
    assert many - few < 16 << 10
