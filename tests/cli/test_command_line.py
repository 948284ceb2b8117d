"""Commands and their words: help for all of them, and what is meant by wrong ones."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.cli.command_line import main
from fruix.cli.command_table import COMMANDS
from fruix.cli.commands import daemon
from fruix.cli.parser import configured_parsers
from fruix.daemon.asked import Asked
from fruix.dataclass import replace
from fruix.packages import load
from fruix.packages.catalogue import shipped_names
from fruix.packages.modules import Modules


def nested(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """It and the parsers of all commands below it."""
    yield parser
    for action in parser._actions:
        if action.nargs == argparse.PARSER:
            assert isinstance(action.choices, dict)
            for below in action.choices.values():
                yield from nested(below)


PARSERS = {parser.prog: parser for parser in nested(configured_parsers()[0])}


@pytest.mark.parametrize("name", PARSERS)
def test_everything_is_described(name: str) -> None:
    parser = PARSERS[name]
    assert parser.description
    assert parser.description.endswith(".")
    assert [action.dest for action in parser._actions if not action.help] == []


def test_every_command_is_tried() -> None:
    assert {f"fruix {command}" for command in COMMANDS} < set(PARSERS)


@pytest.mark.parametrize("name", PARSERS)
def test_help_says_what_the_option_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for words in (["help", *name.split()[1:]], [*name.split()[1:], "--help"]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == PARSERS[name].format_help()


def test_names_of_commands_and_what_they_are_for_stand_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("fruix", "fruix store"):
        lines = PARSERS[name].format_help().splitlines()
        for action in PARSERS[name]._actions:
            for command in action.choices or () if action.nargs == argparse.PARSER else ():
                assert any(line.split()[:1] == [command] and len(line.split()) > 2 for line in lines), command


def test_without_a_command_it_is_said_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", PARSERS["fruix"].format_help())


@pytest.mark.parametrize(
    ("words", "command", "message", "hint"),
    [
        ("biuld x", "fruix", "'fruix' has no command 'biuld'", "did you mean 'build'?"),
        ("help biuld", "fruix", "'fruix' has no command 'biuld'", "did you mean 'build'?"),
        ("hello", "fruix", "'hello' is a package, not a command", "fruix build hello"),
        ("--verson", "fruix", "'fruix' has no option '--verson'", "did you mean '--version'?"),
        (
            "store verfy",
            "fruix store",
            "'fruix store' has no command 'verfy'",
            "did you mean 'verify'?",
        ),
        (
            "build --dryrun x",
            "fruix build",
            "'fruix build' has no option '--dryrun'",
            "did you mean '--dry-run'?",
        ),
        (
            "build --timeot=5 x",
            "fruix build",
            "'fruix build' has no option '--timeot'",
            "did you mean '--timeout'?",
        ),
        ("build -x y", "fruix build", "'fruix build' has no option '-x'", "fruix help build"),
        (
            "store verify --contnets",
            "fruix store verify",
            "'fruix store verify' has no option '--contnets'",
            "did you mean '--contents'?",
        ),
        ("graph -f svgz", "fruix graph", "'svgz' is no value of -f/--format", "did you mean 'svg'?"),
        ("why a", "fruix why", "the following arguments are required: B", "fruix help why"),
        ("ps x", "fruix ps", "'fruix ps' takes no further argument 'x'", "fruix help ps"),
        (
            "build -j many",
            "fruix build",
            "argument -j/--max-jobs: 'many' is not a whole number of at least 0",
            "fruix help build",
        ),
        ("store", "fruix store", "the following arguments are required: COMMAND", "fruix help store"),
    ],
)
def test_wrong_words(
    words: str, command: str, message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"{PARSERS[command].format_usage()}fruix: error: {message}\nhint: {hint}\n"


def test_a_misspelt_package_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("edit", "show"):
        assert main([command, "zlob"]) == 2
        assert "hint: did you mean 'zlib'?" in capsys.readouterr().err


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three on the path, and the catalogue."""
    monkeypatch.setattr(load, "_MODULES", Modules(load._WORDS))
    monkeypatch.setenv(load.PATH_VARIABLE, str(tmp_path))
    for name, synopsis, description in (
        ("quince", "Fruit", ""),
        ("quince-jam", "For bread", ""),
        ("cheese", "Made of milk, goes with Quince", ""),
        ("tart", "For afternoons", "Filled with quinces."),
    ):
        (tmp_path / f"{name}.py").write_text(
            f"package = Package(name='{name}', version='1', build_system='trivial', synopsis='{synopsis}', "
            f"description='{description}', arguments={{'script': 'true'}})\n"
        )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("quince", ["quince", "quince-jam", "cheese", "tart"]),
        ("QUINCE milk", ["cheese"]),
        ("for", ["quince-jam", "tart"]),
        ("afternoon", ["tart"]),
    ],
)
def test_search(packages: None, words: str, found: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *words.split()]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in names if name not in shipped_names()] == found
    assert main(["search", words]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == names


def test_a_search_that_finds_nothing_guesses(packages: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "quinze"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no package has 'quinze' in its name, synopsis or description" in shown.err
    assert "did you mean 'quince'" in shown.err


def test_searching_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "greets"]) == 0
    assert capsys.readouterr().out.split()[0] == "hello"


def test_a_daemon_as_services_start_it_needs_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asked] = []

    def run(found: Asked) -> int:
        asked.append(found)
        return 0

    monkeypatch.setattr("fruix.daemon.main.main", run)
    for words in (
        [],
        ["--config", "a", "--listen", "b", "--listen", "c", "--config", "d"],
        ["--listen", "127.0.0.1:1"],
    ):
        assert daemon.run_usual(words) == 0
        usual = asked.pop()
        assert main(["daemon", "--accept-store", *words]) == 0  # by the parser
        assert asked.pop() == replace(usual, accept_store=True)
    for words in (["--config"], ["--ping"], ["--config", "--ping"], ["x"], ["--config=a"], ["--listen", "-"]):
        assert daemon.run_usual(words) is None
    assert asked == []
