"""The parser of the command line, which imports only the command that is used.

It says of a wrong word what may be meant.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

from fruix import __version__
from fruix.cli.command_table import COMMANDS
from fruix.errors import UsageError
from fruix.model.nearest import did_you_mean, nearest, similar
from fruix.overriding import override

# `argparse` translates its words by whatever catalogue the system has under the name `messages`, and
# looks for one in sixteen places; ours are English.
setattr(argparse, "_", str)  # noqa: B010 - a private name
setattr(argparse, "ngettext", lambda one, many, number: one if number == 1 else many)  # noqa: B010

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name


def add_command(
    commands: Commands, name: str, text: str, act: Callable[..., object]
) -> argparse.ArgumentParser:
    """Add a command of a command: `text` is its help in a line, `act` is found in the options."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(act=act)
    return parser


class CommandLineError(UsageError):
    """The words can't be understood; `usage` is the usage of the command that they were for."""

    def __init__(self, message: str, usage: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.usage = usage


class _Formatter(argparse.HelpFormatter):
    """Keeps commands' names in their column: argparse forgets that they are indented once more.

    It is made for every argument that is added, and would load `shutil` for the terminal's width.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"width": _columns() - 2, **options})

    @override
    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if action.nargs == argparse.PARSER:
            self._action_max_length += self._indent_increment


def _columns() -> int:
    """As `shutil.get_terminal_size` finds them."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of leaving, and leaves itself in the result as `parser`.

    Of nested ones, that is the innermost that was used.

    A last argument `command` of any number of words takes what stands after the first `--`, and
    nothing else.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": _Formatter, **options})
        self.set_defaults(parser=self)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, with the words after `--` as `command`.

        argparse itself can't tell a list that ends at `--` from one that begins there.
        """
        words = list(args or ())
        if "--" not in words or not any(action.dest == "command" for action in self._actions):
            return super().parse_known_args(words, namespace)
        at = words.index("--")
        options, unexpected = super().parse_known_args(words[:at], namespace)
        options.command = words[at + 1 :]
        return options, unexpected

    @override
    def error(self, message: str) -> NoReturn:
        raise self.refusal(message)

    def refusal(self, message: str, hint: str = "") -> CommandLineError:
        """An error with this parser's usage."""
        asked = self.prog.partition(" ")[2]
        return CommandLineError(message, self.format_usage(), hint=hint or f"fruix help {asked}".rstrip())

    def unexpected(self, word: str) -> CommandLineError:
        """The error for a word that no argument takes."""
        if not word.startswith("-"):
            return self.refusal(f"'{self.prog}' takes no further argument '{word}'")
        name = word.partition("=")[0]
        # A private name, and the only way from a parser to its options.
        known = [option[2:] for option in self._option_string_actions if option.startswith("--")]
        close = did_you_mean(f"--{option}" for option in similar(name.lstrip("-"), known))
        return self.refusal(f"'{self.prog}' has no option '{name}'", close)

    @override
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of an argument's choices; argparse asks for each argument."""
        if action.choices is None or value in action.choices:
            return
        if action.nargs == argparse.PARSER:
            message = f"'{self.prog}' has no command '{value}'"
        else:
            message = f"'{value}' is no value of {'/'.join(action.option_strings) or action.metavar}"
        raise self.refusal(message, nearest(value, action.choices))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; the result has the command's `run` in it, if a command is used.

    Raises:
        CommandLineError: they can't be understood.
    """
    parser = parser_for(words)
    used = _command(words)
    if used not in {None, *COMMANDS} and _is_package(used):
        raise parser.refusal(f"'{used}' is a package, not a command", f"fruix build {used}")
    options, unexpected = parser.parse_known_args(words)
    if unexpected:
        raise options.parser.unexpected(unexpected[0])
    return options


def parser_for(words: Sequence[str]) -> Parser:
    """A parser in which the command that `words` use is configured, the others at most named.

    They are not if the words begin with the command: a parser takes a tenth of a millisecond.
    """
    used = _command(words)
    parser, commands = _bare(used if used in COMMANDS and words[0] == used else None)
    if used in commands:
        _configure(used, commands[used])
    return parser


def _command(words: Sequence[str]) -> str | None:
    return next((word for word in words if not word.startswith("-")), None)


def overview() -> Parser:
    """The parser with all commands named and none configured, which imports none."""
    return _bare()[0]


def configured_parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser with every command configured, and the commands' own by name. Imports all."""
    parser, commands = _bare()
    for name, command in commands.items():
        _configure(name, command)
    return parser, commands


def _is_package(word: str | None) -> bool:
    from fruix.packages.load import known_names  # noqa: PLC0415 - only after a mistake

    return word in known_names()


def _bare(only: str | None = None) -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog="fruix",
        description="Build packages from exactly what was declared.",
        epilog="'fruix help COMMAND' describes a command.",
    )
    parser.add_argument("--version", action="version", version=f"fruix {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", help="one of these:")
    return parser, {
        name: commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for name, (_, text) in COMMANDS.items()
        if only in {name, None}
    }


def _configure(name: str, parser: Parser) -> None:
    command = importlib.import_module(COMMANDS[name][0])
    command.configure(parser)
    parser.set_defaults(run=command.run)
