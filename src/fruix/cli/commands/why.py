"""`fruix why A B`: by which way A needs B, when it runs or when it is built."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from fruix.cli.output.archive_listing import mentioning
from fruix.cli.request.connect import open_store
from fruix.cli.request.targets import built, derivation_for, lowering, outputs
from fruix.client import RemoteStore
from fruix.errors import FruixError
from fruix.graph import shortest_paths
from fruix.model.storepath import StorePath

if TYPE_CHECKING:
    from fruix.packages.lower import Lowering

_MOST_FILES = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two paths, and what kind of need is meant."""
    parser.add_argument("needing", metavar="A", help="a package, a derivation or a store path")
    parser.add_argument("needed", metavar="B", help="another")
    parser.add_argument(
        "-b",
        "--build",
        action="store_true",
        help="when it is built: ways through derivations (default: when it runs)",
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="show all of the shortest ways, not the first only"
    )


def run(options: argparse.Namespace) -> int:
    """Find the ways, and print each, a step a line."""
    with open_store() as store:
        work = lowering(store)
        ways = (_built_by if options.build else _running_by)(store, work, options.needing, options.needed)
        found = list(ways if options.all else islice(ways, 1))
        if not found:
            when, other = (
                ("built", "")
                if options.build
                else ("run", f"; for builds: fruix why --build {options.needing} {options.needed}")
            )
            raise FruixError(
                f"'{options.needing}' does not need '{options.needed}' to be {when}",
                hint=f"nothing on the way refers to it{other}",
            )
        for number, way in enumerate(found):
            if number:
                print()
            _print(store, way, files=not options.build)
    return 0


def _running_by(store: RemoteStore, work: Lowering, needing: str, needed: str) -> Iterator[list[StorePath]]:
    goals = outputs(store, work, needed)
    for start in built(store, work, needing):
        for goal in goals:
            yield from shortest_paths(start, goal, store.references)


def _built_by(store: RemoteStore, _work: Lowering, needing: str, needed: str) -> Iterator[list[StorePath]]:
    start, goal = derivation_for(store, needing), derivation_for(store, needed)
    yield from shortest_paths(start, goal, lambda drv: store.read_derivation(drv).input_drvs)


def _print(store: RemoteStore, way: Sequence[StorePath], *, files: bool) -> None:
    for depth, path in enumerate(way):
        print(f"{'   ' * (depth - 1)}{'└─ ' if depth else ''}{path}")
        if files and depth + 1 < len(way):
            names = list(mentioning(store.nar(path), way[depth + 1]))
            more = f" and {len(names) - _MOST_FILES} more" if len(names) > _MOST_FILES else ""
            print(f"{'   ' * (depth + 1)}in {', '.join(names[:_MOST_FILES])}{more}")
