"""`fruix shell`: a shell, or a command, in which packages are found by programs and compilers.

Without packages it has nothing but the store at its place. Where a system daemon keeps the store
that is so anyway; without root the program gets a mount namespace in which the user's own store
lies at `/frx/store`, and everything else is as outside.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence

from fruix.cli.output.plan import some
from fruix.cli.request import asked
from fruix.cli.request.connect import see_store
from fruix.cli.request.exec_program import execute
from fruix.cli.request.ready import make_ready
from fruix.cli.request.targets import Target
from fruix.errors import UsageError
from fruix.packages.programs import programs
from fruix.packages.search_paths import shell_environment

# Says to start files and prompts which packages there are.
NAMES_VARIABLE = "FRUIX_SHELL"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the packages, how much of the environment stays, and after `--` a command."""
    parser.usage = f"fruix shell [-h] [--pure] [-f FILE] [-e EXPR] [{asked.WORD} ...] [-- COMMAND ...]"
    asked.configure(parser)
    parser.add_argument(
        "--pure",
        action="store_true",
        help="nothing else: no programs of the system on PATH, and of the environment only HOME, TERM "
        "and the like",
    )
    parser.add_argument(
        "command", nargs="*", metavar="COMMAND", help="after '--': run this and leave, instead of a shell"
    )


def run(options: argparse.Namespace) -> int:
    """Execute the shell or the command in place of this process.

    Raises:
        UsageError: there is no such program.
    """
    words, packages = asked.definitions(options)
    environment: Mapping[str, str] = os.environ
    places: list[str] = []
    if words or packages:
        ready = make_ready(words, packages)
        places = [place for one in ready for place in (*one.outputs, *one.propagated)]
        environment = shell_environment(places, os.environ, pure=options.pure)
        environment[NAMES_VARIABLE] = " ".join(_name(one.target) for one in ready)
    elif options.pure:
        raise UsageError("a pure shell without packages would have nothing", hint="name packages")
    else:
        see_store()
    command = options.command or [os.environ.get("SHELL") or "/bin/sh"]
    execute(_program(command[0], environment, places, pure=options.pure), command, environment)


def _name(target: Target) -> str:
    return target.package.full_name if target.package else target.request.path.short_name


def _program(word: str, environment: Mapping[str, str], places: Sequence[str], *, pure: bool) -> str:
    program = shutil.which(word, path=environment.get("PATH", os.defpath))
    if program is not None:
        return program
    names = [program.name for program in programs(places)]
    has = f"these packages have {some(names)}" if names else ""
    more = "without --pure those of the system are found too" if pure else ""
    hint = "; ".join(filter(None, (has, more))) or "name a file, or a program in PATH"
    raise UsageError(f"there is no program '{word}'", hint=hint)
