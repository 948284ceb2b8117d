"""`fruix run COMMAND…` and `fruix shell`: a program that finds the store at its place.

Where a system daemon keeps the store that is so anyway, and the program is just executed. Without root it gets a mount namespace in which
the user's own store lies at `/frx/store`; everything else is as outside.
"""

from __future__ import annotations

import argparse
import os
import shutil

from fruix.cli.request.connect import see_store
from fruix.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """The command and its arguments, whatever they look like; `shell` takes none."""
    if parser.prog.endswith(" run"):
        parser.add_argument("command", metavar="COMMAND", help="a program, by name or by file")
        parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="passed on to it")


def run(options: argparse.Namespace) -> int:
    """Never returns, unless the program can't be executed.

    Raises:
        UsageError: there is no such program.
    """
    command = getattr(options, "command", None) or os.environ.get("SHELL") or "/bin/sh"
    see_store()
    program = shutil.which(command)
    if program is None:
        raise UsageError(f"there is no program '{command}'", hint="name a file, or a program in PATH")
    os.execv(program, [command, *getattr(options, "arguments", ())])  # noqa: S606 - that is what was asked for
