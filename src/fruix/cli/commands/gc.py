"""`fruix gc`: delete what nothing keeps alive, or say what that is and why."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable

from fruix.cli.output.amounts import duration, plural, size
from fruix.cli.output.counter_line import CounterLine
from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.terminal import harmless
from fruix.cli.request.connect import open_store
from fruix.cli.request.quantities import duration_of, size_of
from fruix.cli.request.valid_paths import valid
from fruix.client import RemoteStore
from fruix.model.events import Collecting, Event, to_json
from fruix.model.garbage import Collected, Goal
from fruix.model.planned import BuildPlan

_BECAUSE = {
    "reference": "which refers to",
    "deriver": "which was built from",
    "output": "which has the output",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what to do instead of deleting everything dead, and when to stop."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would be deleted")
    parser.add_argument("--max-freed", type=size_of, metavar="SIZE", help="stop when so much has been freed")
    parser.add_argument(
        "--min-free", type=size_of, metavar="SIZE", help="stop when so much is free on the store's disk"
    )
    parser.add_argument(
        "--older-than",
        type=duration_of,
        metavar="DURATION",
        help="remove links and old generations that were not made or used for so long (30d, 12h)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name every path that is deleted")
    parser.add_argument("--json", action="store_true", help="one JSON object per line and step")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--print-roots", action="store_true", help="only list the roots, and what they keep")
    instead.add_argument("--print-live", action="store_true", help="only list the paths that are alive")
    instead.add_argument("--print-dead", action="store_true", help="only list what would be deleted")
    instead.add_argument("--why-live", metavar="PATH|NAME", help="only say what keeps this path alive")


def run(options: argparse.Namespace) -> int:
    """Do what is asked in place of a collection, else collect."""
    with open_store() as store:
        if options.why_live is not None:
            return _why_live(store, options.why_live)
        if options.print_roots:
            _print(f"{root.link} -> {root.target}" for root in store.roots())
        elif options.print_live or options.print_dead:
            _print(store.garbage(alive=options.print_live))
        else:
            _collect(store, options)
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(harmless(line, colour=False))


def _why_live(store: RemoteStore, word: str) -> int:
    """The way from a root to the path, a step a line; status 1 if there is none."""
    path, _ = valid(store, word)
    found = store.why_live(path)
    if not found.steps:
        print(f"nothing keeps {path} alive")
        return 1
    print(harmless(found.root, colour=False))
    for depth, step in enumerate(found.steps):
        because = f"{_BECAUSE[step.how]} " if step.how in _BECAUSE else ""
        print(f"{'   ' * depth}└─ {because}{step.path}")
    return 0


def _collect(store: RemoteStore, options: argparse.Namespace) -> None:
    since = None if options.older_than is None else int(time.time()) - options.older_than
    goal = Goal(options.max_freed, options.min_free, since, options.dry_run)
    with CounterLine("gc:") as line:
        found = store.collect(goal, _shown(line, options))
    if options.json:
        print(json.dumps({"version": 1, "event": "result", **_result(found)}))
        return
    if found.foreign:
        print(f"left alone, no store objects: {', '.join(found.foreign)}", file=sys.stderr)
    did = "would delete" if options.dry_run else "deleted"
    print(f"{did} {plural(found.deleted, 'path')}, {size(found.freed)}; alive: {found.live}")


def _result(found: Collected) -> dict[str, object]:
    return {"live": found.live, "deleted": found.deleted, "freed": found.freed, "foreign": found.foreign}


def _shown(line: CounterLine, options: argparse.Namespace) -> Callable[[Event], None]:
    """Shows events as lines of JSON, or on one line of the terminal and with the names of paths."""
    display = PlainDisplay(sys.stderr, BuildPlan())
    began = time.monotonic()

    def show(event: Event) -> None:
        if options.json:
            print(json.dumps(to_json(event)))
        elif not isinstance(event, Collecting):
            display.event(event)
        else:
            line.show(_state(event, time.monotonic() - began))
            if options.verbose or options.dry_run:
                _print(event.paths)

    return show


def _state(event: Collecting, seconds: float) -> str:
    match event.stage:
        case "roots":
            return "looking for roots"
        case "marked":
            return f"{event.live} of {event.total} paths are alive"
        case "links":
            return f"{event.deleted} paths deleted, removing links of files that are gone"
    rate = size(round(event.freed / max(seconds, 0.1)))
    dead = max(event.total - event.live, event.deleted)
    return (
        f"{event.live} alive, {event.deleted} of {dead} deleted, {size(event.freed)} freed"
        f" ({rate}/s, {duration(seconds)})"
    )
