"""The table of commands and the way from `sys.argv` to one of them.

A command's module offers `configure(parser)` and `run(arguments) -> int`. Errors of ours become one message with
what, where and what to do next, and the error's exit code; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from fruix import __version__
from fruix.cli.text import harmless
from fruix.errors import FruixError, of_missing_module, of_system

# name: (module, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("fruix.cli.build", "build packages or derivations"),
    "daemon": ("fruix.cli.daemon", "run the build daemon"),
    "doctor": ("fruix.cli.doctor", "say what this machine can isolate, and what it lacks"),
    "edit": ("fruix.cli.edit", "open a package's definition in the editor"),
    "enter": ("fruix.cli.enter", "a shell in the sandbox of a derivation"),
    "graph": ("fruix.cli.graph", "draw what depends on what"),
    "hash": ("fruix.cli.hash", "print the hash that a definition wants of a file or directory"),
    "lint": ("fruix.cli.lint", "check package definitions"),
    "log": ("fruix.cli.log", "print the log of a build"),
    "packages": ("fruix.cli.packages", "list the packages of the catalogue"),
    "prefetch": ("fruix.cli.prefetch", "fetch a source, and print what a definition says of it"),
    "ps": ("fruix.cli.ps", "list the builds that run or wait, of all clients"),
    "run": ("fruix.cli.run", "run a program that finds the store at its place"),
    "shell": ("fruix.cli.run", "start a shell that finds the store at its place"),
    "show": ("fruix.cli.show", "describe a package or a derivation"),
    "size": ("fruix.cli.size", "say what packages take on disk with all that they need"),
    "store": ("fruix.cli.store", "add to, read and query the store"),
    "why-rebuild": ("fruix.cli.why_rebuild", "say what differs between two derivations of a package"),
    "why": ("fruix.cli.why", "say by which way one package needs another"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser(words).parse_args(words)
        return int(options.run(options))
    except FruixError as error:
        report(error)
        return error.exit_code
    except ModuleNotFoundError as error:
        lacking = of_missing_module(error)
        if lacking is None:
            raise
        report(lacking)
        return lacking.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; don't let the interpreter complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        report(of_system(error))
        return 1
    except KeyboardInterrupt:
        print("fruix: interrupted", file=sys.stderr)
        return 130


def report(error: FruixError) -> None:
    """An error for a person: what and where, then what to do next. It may quote a builder's output."""
    print(f"fruix: error: {harmless(str(error), colour=False)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {harmless(error.hint, colour=False)}", file=sys.stderr)


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """A parser that knows all commands by name, but imports only the one that is used."""
    parser = argparse.ArgumentParser(
        prog="fruix", description="Build packages from exactly what was declared."
    )
    parser.add_argument("--version", action="version", version=f"fruix {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    used = next((word for word in words if not word.startswith("-")), None)
    for name, (module, help_text) in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=help_text, description=help_text[0].upper() + help_text[1:] + "."
        )
        if name == used:
            command = importlib.import_module(module)
            command.configure(subparser)
            subparser.set_defaults(run=command.run)
    return parser
