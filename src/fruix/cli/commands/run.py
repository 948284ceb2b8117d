"""`fruix run`: a package's program, built first where needed.

The environment is as outside; without root the store is at its place too.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence

from fruix.cli.output.terminal import harmless
from fruix.cli.request import asked
from fruix.cli.request.exec_program import execute
from fruix.cli.request.ready import make_ready
from fruix.cli.request.targets import Target
from fruix.errors import UsageError
from fruix.model.storepath import package_of
from fruix.packages.load import UnknownPackageError
from fruix.packages.programs import Program, main_program, programs


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the package, and the program's arguments, which may look like options."""
    parser.usage = f"fruix run [-h] [--program NAME] {asked.WORD} [ARGUMENT ...]"
    parser.add_argument(
        "--program",
        metavar="NAME",
        help="which one of its programs (default: the one that is named like it, or the only one)",
    )
    parser.add_argument(
        "package", metavar=asked.WORD, help="a package, a store path, or a file that defines a package"
    )
    parser.add_argument(
        "arguments",
        metavar="ARGUMENT",
        nargs=argparse.REMAINDER,
        help="passed on to it; a '--' before them is left out",
    )


def run(options: argparse.Namespace) -> int:
    """Execute the program in place of this process.

    Raises:
        UsageError: it has no such program, or several and none like the package; lists them.
    """
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    program = _program(options.package, options.program)
    execute(program.file, [program.name, *arguments], os.environ)


def _program(word: str, name: str | None) -> Program:
    """Build the package where needed, and find the program."""
    words, packages = asked.definitions(argparse.Namespace(targets=[word], file=[], expression=[]))
    if len(packages) > 1:
        names = ", ".join(package.name for package in packages)
        raise UsageError(f"the file defines several packages: {names}", where=word, hint=_BUILD.format(word))
    try:
        (ready,) = make_ready(words, packages)
    except UnknownPackageError as error:
        if shutil.which(word) is None or "/" in word:
            raise
        hint = f"for the system's program of that name: fruix shell -- {word}; {error.hint}"
        raise UsageError(error.message, where=error.where, hint=hint) from error
    found = programs(ready.outputs)
    program = main_program(found, [name] if name else _names(ready.target))
    if program is None or name not in {None, program.name}:
        raise _no_program(word, name, found)
    return program


_BUILD = "fruix build {} prints their paths, which 'fruix run' takes"


def _names(target: Target) -> Sequence[str]:
    """Names that its program may have: the package's, or a path's with and without its version."""
    if target.package:
        return [target.package.name]
    name = target.request.path.short_name
    return [name, package_of(name)]


def _no_program(word: str, name: str | None, found: Sequence[Program]) -> UsageError:
    has = harmless(", ".join(program.name for program in found), colour=False)
    if not found:
        return UsageError(f"'{word}' has no programs", hint=f"to have it in a shell: fruix shell {word}")
    if name:
        return UsageError(f"'{word}' has no program '{name}'", hint=f"it has: {has}")
    hint = f"fruix run --program {found[0].name} {word}"
    return UsageError(f"'{word}' has several programs, and none is named like it: {has}", hint=hint)
