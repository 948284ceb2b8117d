"""Words of the command line that stand in a file: thousands of paths, more than a command line holds.

Wherever a command takes any number of paths or names, `@FILE` stands for the lines of a file and
`@-` for those of standard input, one path or name a line; empty lines count nothing. (A file whose
own name begins with `@` is written `./@NAME`.) What is read are never options.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fruix.errors import UsageError
from fruix.overriding import override

PATHS = "PATH|NAME"
PATHS_HELP = "a store path, or a name of what was built; @FILE: those in a file, @-: on standard input"
_MARK, _STANDARD_INPUT = "@", "@-"


class WordList(argparse.Action):
    """The action of an argument that takes any number of words."""

    @override
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        words = list(_expanded(values or ()))
        if not words and values:
            raise UsageError(f"there is nothing in '{values[0]}'", hint="one path or name a line")
        setattr(namespace, self.dest, words)


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add the argument `paths`: one or more."""
    parser.add_argument("paths", nargs="+", action=WordList, metavar=PATHS, help=PATHS_HELP)


def _expanded(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word.startswith(_MARK):
            yield from _lines(word)
        else:
            yield word


def _lines(word: str) -> Iterator[str]:
    try:
        if word == _STANDARD_INPUT:
            if sys.stdin is None:
                raise UsageError("standard input is closed")
            yield from _words(sys.stdin.buffer)
            return
        with open(word.removeprefix(_MARK), "rb") as file:
            yield from _words(file)
    except OSError as error:
        raise UsageError(
            f"can't read '{word.removeprefix(_MARK)}': {error.strerror}",
            hint="'@FILE' stands for the lines of a file; a name that begins with @ is written ./@NAME",
        ) from error


def _words(lines: Iterable[bytes]) -> Iterator[str]:
    for line in lines:
        if word := line.rstrip(b"\r\n"):
            yield os.fsdecode(word)
