"""`fruix why-rebuild A [B]`: how two derivations differ, down to the input and the line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

from fruix.cli.output.terminal import harmless, styled, wants_colour
from fruix.cli.request.connect import open_store
from fruix.cli.request.store_reader import StoreReader
from fruix.cli.request.targets import derivation_for
from fruix.client import RemoteStore
from fruix.errors import UsageError
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvdiff import Compared, compare_closures
from fruix.model.planned import PlannedBuild
from fruix.model.storepath import StorePath

_MOST_TEXT = 1 << 20  # bytes; a bigger file is not compared line by line
_COLOURS = {"-": "red", "+": "green", "@": "cyan"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two derivations."""
    parser.add_argument("old", metavar="A", help="a package, a derivation, or what it made")
    parser.add_argument(
        "new",
        metavar="B",
        nargs="?",
        help="another, to compare with; without it: what was built last for the package A, with A as it "
        "is now",
    )


def run(options: argparse.Namespace) -> int:
    """Print each pair of derivations that differ; status 1 if there is none.

    The first pair is the one that was named, the others are what it needs.
    """
    with open_store() as store:
        old, new = _pair(store, options)
        if old == new:
            print(f"{old} is the same derivation")
            return 1
        colour = wants_colour(sys.stdout)
        for number, found in enumerate(compare_closures(old, new, StoreReader(store))):
            for line in _text(found, colour=colour, first=number == 0):
                print(line)
    return 0


def _pair(store: RemoteStore, options: argparse.Namespace) -> tuple[StorePath, StorePath]:
    new = derivation_for(store, options.new or options.old)
    if options.new:
        return derivation_for(store, options.old), new
    # The plan of a check has a row for what is valid too, with what was built last.
    rows = store.plan([DerivedPath(new, ALL)], BuildMode.CHECK).builds
    last = next((row.last for row in rows if row.drv == new), None)
    if last is None:
        raise UsageError(
            f"nobody knows what was built last for '{new.short_name}'",
            hint=f"name two: fruix why-rebuild OLD {options.old}",
        )
    return last, new


def reasons(store: RemoteStore, rows: Iterable[PlannedBuild]) -> dict[StorePath, list[str]]:
    """Derivation → what differs from what was built last for the same package, a line each.

    Derivations of which that is not known are left out.
    """
    reader = StoreReader(store)
    return {
        row.drv: next(compare_closures(row.last, row.drv, reader)).reasons
        for row in rows
        if row.kind == "build" and row.last is not None and row.last != row.drv
    }


def _text(found: Compared, *, colour: bool, first: bool) -> Iterator[str]:
    """A heading, both paths, and what differs, indented below."""
    if not first:
        yield ""
    names = dict.fromkeys((found.old.short_name, found.new.short_name))
    yield styled(f"{' and '.join(names)} {'differ' if len(names) > 1 else 'differs'}:", "bold", colour=colour)
    yield _line(f"- {found.old}", colour=colour)
    yield _line(f"+ {found.new}", colour=colour)
    for change in found.changes:
        yield f"  {harmless(change.what, colour=False)}{':' if change.lines else ''}"
        yield from (f"    {_line(line, colour=colour)}" for line in change.lines)
    for _, new in found.inputs:
        yield f"  the input {new.short_name} differs"
    if not found.reasons:
        yield "  only by paths of its own"


def _line(text: str, *, colour: bool) -> str:
    shown = harmless(text, colour=False)
    style = _COLOURS.get(shown[:1])
    return styled(shown, style, colour=colour) if style else shown
