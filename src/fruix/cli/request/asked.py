"""What a command is asked for: packages by name, from files and expressions, derivations and store paths."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from fruix.cli.request.definition_files import separate
from fruix.cli.request.local_sources import use_local_sources
from fruix.cli.request.resolve import Target, named_targets, package_target
from fruix.client import RemoteStore
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
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
    store: RemoteStore, work: Lowering, words: Sequence[str], packages: Iterable[Package]
) -> list[Target]:
    """What to build for them; sources that are at hand are in the store then."""
    found = named_targets(store, work, words)
    found += [package_target(work, package) for package in packages]
    use_local_sources(store, work)
    return found


def outputs(store: RemoteStore, request: DerivedPath) -> dict[str, StorePath]:
    """What a request gives: outputs by name, or the path itself under the empty name."""
    if request.outputs is None:
        return {"": request.path}
    found = store.derivation_outputs(request.path)
    return {name: found[name] for name in sorted(found) if "*" in request.outputs or name in request.outputs}
