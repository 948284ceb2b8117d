"""`fruix help`: what a command does and takes, as text, manual page or shell completion."""

from __future__ import annotations

import argparse

from fruix.cli.output.completion import PLACES, completion
from fruix.cli.output.manual import pages
from fruix.cli.parser import parse
from fruix.errors import UsageError
from fruix.model.nearest import nearest


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command that is asked about, and the other forms of an answer."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="COMMAND",
        help="the command, and a command of it: 'fruix help store add'; default: all of them",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--man", action="store_true", help="print it as a manual page")
    forms.add_argument("--completion", choices=PLACES, help="print what a shell completes command lines by")


def run(options: argparse.Namespace) -> int:
    """Print the help, the manual page or the completion."""
    if options.completion:
        print(completion(options.completion), end="")
    elif options.man:
        print(_manual(options.words), end="")
    else:
        parse([*options.words, "--help"])  # prints, and leaves
    return 0


def _manual(words: list[str]) -> str:
    name, found = "-".join(["fruix", *words]), pages()
    if name not in found:
        raise UsageError(f"there is no manual page '{name}'", hint=nearest(name, found))
    return found[name]
