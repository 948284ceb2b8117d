"""What a command is asked for: packages by name, from files and expressions, derivations and store paths."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence

from fruix.building.builders.local_sources import find_source
from fruix.cli.request.definition_files import separate
from fruix.cli.request.targets import Target, package_or_path, package_target
from fruix.client import RemoteStore
from fruix.model.contentaddress import Method
from fruix.packages.load import from_expression, from_file
from fruix.packages.lower import Lowering
from fruix.packages.package import Package

WORD = "PACKAGE|DRV|PATH|FILE.py"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments that name things: `targets`, `file` and `expression`."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar=WORD,
        help="packages of the catalogue, store paths, or files as for -f",
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
    """The words that name packages or store paths, and the packages that were defined on the spot."""
    words, files = separate(options.targets)
    packages = [package for file in (*files, *options.file) for package in from_file(file)]
    return words, [*packages, *map(from_expression, options.expression)]


def targets(
    store: RemoteStore,
    work: Lowering,
    words: Sequence[str],
    packages: Iterable[Package],
    target_of: Callable[[RemoteStore, Lowering, str], Target] = package_or_path,
) -> list[Target]:
    """What to build for them; sources that are at hand are in the store then. `target_of`: what a word may stand for."""
    found = [target_of(store, work, word) for word in words]
    found += [package_target(work, package) for package in packages]
    _use_local_sources(store, work)
    return found


def _use_local_sources(store: RemoteStore, work: Lowering) -> None:
    """Add sources that are at hand already (`FRUIX_SOURCES`, directories separated by colons): then they need no download."""
    directories = [directory for directory in os.environ.get("FRUIX_SOURCES", "").split(":") if directory]
    for origin in work.origins if directories else ():
        if store.is_valid(origin.output):
            continue
        path = find_source(directories, origin.hash, origin.file_names)
        if path is not None:
            added = store.add_path(origin.output.name, path, Method.FLAT, origin.hash.algorithm)
            print(f"taken from {path}: {added}", file=sys.stderr)
