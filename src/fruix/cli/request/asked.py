"""What a command is asked for: packages by name, file or expression, derivations, store paths."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from fruix.cli.request.definition_files import separate
from fruix.cli.request.targets import Target, package_or_path, package_target
from fruix.cli.request.word_lists import WordList
from fruix.model.contentaddress import Method

if TYPE_CHECKING:
    from fruix.client import RemoteStore
    from fruix.packages.lower import Lowering
    from fruix.packages.package import Package

WORD = "PACKAGE|DRV|PATH|FILE.py"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name things: `targets`, `file` and `expression`."""
    parser.add_argument(
        "targets",
        nargs="*",
        action=WordList,
        metavar=WORD,
        help="packages of the catalogue, store paths, or files as for -f; "
        "@FILE: those in a file, @-: on standard input",
    )
    parser.add_argument(
        "-f", "--file", action="append", default=[], help="the packages that a Python file defines"
    )
    parser.add_argument(
        "-e",
        "--expression",
        action="append",
        default=[],
        metavar="EXPR",
        help="the package that a Python expression gives",
    )


def definitions(options: argparse.Namespace) -> tuple[list[str], list[Package]]:
    """The words for packages or store paths, and the packages that were defined on the spot."""
    words, files = separate(options.targets)
    if not files and not options.file and not options.expression:
        return words, []
    from fruix.packages.load import from_expression, from_file  # noqa: PLC0415 - not for names and paths

    packages = [package for file in (*files, *options.file) for package in from_file(file)]
    return words, [*packages, *map(from_expression, options.expression)]


def targets(
    store: RemoteStore,
    work: Lowering,
    words: Sequence[str],
    packages: Iterable[Package],
    target_of: Callable[[RemoteStore, Lowering, str], Target] = package_or_path,
) -> list[Target]:
    """What to build for words and packages; sources that are at hand are in the store then.

    `target_of` tells what a word may stand for.
    """
    found = [target_of(store, work, word) for word in words]
    found += [package_target(work, package) for package in packages]
    _use_local_sources(store, work)
    return found


def _use_local_sources(store: RemoteStore, work: Lowering) -> None:
    """Add sources that are at hand already, so that they need no download.

    They are looked for in the directories of `FRUIX_SOURCES`, which are separated by colons.
    """
    directories = [directory for directory in os.environ.get("FRUIX_SOURCES", "").split(":") if directory]
    if not directories:
        return
    from fruix.building.builders.local_sources import find_source  # noqa: PLC0415 - seldom needed

    for origin, output in work.origins.items():
        if store.is_valid(output):
            continue
        path = find_source(directories, origin.hash, origin.file_names)
        if path is not None:
            added = store.add_path(output.name, path, Method.FLAT, origin.hash.algorithm)
            print(f"taken from {path}: {added}", file=sys.stderr)
