"""`fruix size`: what a package or store path takes on disk with all that it needs to run."""

from __future__ import annotations

import argparse

from fruix.cli.output.amounts import size
from fruix.cli.request.connect import open_store
from fruix.cli.request.targets import built, lowering
from fruix.cli.request.word_lists import WordList
from fruix.errors import InvalidPathError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the paths, and the unit."""
    parser.add_argument(
        "targets", nargs="+", action=WordList, metavar="PACKAGE|DRV|PATH", help="what is built"
    )
    parser.add_argument("--bytes", action="store_true", help="print plain numbers of bytes")


def run(options: argparse.Namespace) -> int:
    """Print a line for each path of the closure, biggest first: own size, share, closure's size.

    Costs one question to the daemon a path.
    """
    shown = str if options.bytes else size
    with open_store() as store:
        work = lowering(store)
        roots = {path for word in options.targets for path in built(store, work, word)}
        own: dict[object, int] = {}
        references = {}
        waiting = list(roots)
        while waiting:
            path = waiting.pop()
            if path in own:
                continue
            info = store.path_info(path)
            if info is None:
                raise InvalidPathError(str(path))
            own[path], references[path] = info.nar_size, info.references
            waiting.extend(info.references)
    total = sum(own.values())
    print(f"{'own':>12} {'share':>6} {'closure':>12}  path")
    for path in sorted(references, key=lambda path: (-own[path], path)):
        closure, waiting = {path}, [path]
        while waiting:
            new = set(references[waiting.pop()]) - closure
            closure |= new
            waiting.extend(new)
        share = 100 * own[path] / total if total else 0
        print(f"{shown(own[path]):>12} {share:>5.1f}% {shown(sum(own[one] for one in closure)):>12}  {path}")
    print(f"{shown(total):>12} {100:>5.1f}%  in all, {len(own)} paths")
    return 0
