"""`fruix store verify`, `repair`, `rebuild-database`: whether all is what it should be, and mending it."""

from __future__ import annotations

import argparse
import json
import os
import sys

from fruix.cli.output.display import PlainDisplay
from fruix.cli.parser import Commands, add_command
from fruix.cli.request.connect import layout, see_store
from fruix.cli.request.word_lists import WordList
from fruix.client import RemoteStore
from fruix.errors import StoreError, UsageError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.model.finding import Finding
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath, in_store

_ADD_AGAIN = "what nothing here can make is repaired by adding it again, as it was added the first time"


def configure(commands: Commands) -> None:
    """Add the parsers of these commands."""
    verify = add_command(commands, "verify", "check that every valid path is there; status 1 if not", _verify)
    verify.add_argument("--contents", action="store_true", help="read and hash every path too")
    verify.add_argument("--repair", action="store_true", help="mend or build again what is damaged")
    verify.add_argument(
        "--json", action="store_true", help="print one JSON object per finding and line (docs/store.md)"
    )
    verify.add_argument(
        "--sigs", action="store_true", help="look for paths that nobody trusted has built or signed too"
    )
    repair = add_command(
        commands, "repair", "read paths and all that they need, and build again what is damaged", _repair
    )
    repair.add_argument(
        "paths",
        nargs="+",
        action=WordList,
        metavar="PATH",
        help="a store path; @FILE: those in a file, @-: on standard input",
    )
    add_command(
        commands,
        "rebuild-database",
        "make the database anew from what lies in the store; the old one is kept",
        rebuild_database,
    )
    add_command(
        commands,
        "give-to-guix",
        "turn the database into that of guix-daemon; Fruix's is kept",
        give_to_guix,
    )


def _verify(store: RemoteStore, options: argparse.Namespace) -> int:
    display = PlainDisplay(sys.stderr, BuildPlan())
    found = store.verify(contents=options.contents, repair=options.repair, on_event=display.event)
    for finding in found:
        print(_json(finding)) if options.json else print(finding, file=sys.stderr)
    if any(finding.is_damage for finding in found):
        raise _damaged(options)
    if options.sigs:
        from fruix.cli.request.signatures import check_signatures  # noqa: PLC0415 - loads ctypes

        check_signatures(store)
    print("everything is as it should be", file=sys.stderr)
    return 0


def _json(finding: Finding) -> str:
    return json.dumps(
        {
            "kind": finding.kind.value,
            "damage": finding.is_damage,
            "subject": finding.subject,
            "expected": finding.expected,
            "found": finding.found,
            "text": str(finding),
        }
    )


def _damaged(options: argparse.Namespace) -> StoreError:
    """The error for a store that is damaged, or still is, with what to do next."""
    if options.repair:
        return StoreError("not everything could be repaired", hint=_ADD_AGAIN)
    flag = " --contents" if options.contents else ""
    return StoreError(
        "the store is damaged",
        hint=f"build again what is damaged: fruix store verify{flag} --repair",
    )


def _repair(store: RemoteStore, options: argparse.Namespace) -> int:
    paths = [_path(store, text) for text in options.paths]
    display = PlainDisplay(sys.stderr, BuildPlan())
    requests = [DerivedPath(path, None) for path in paths]
    results = store.build(requests, BuildOptions(mode=BuildMode.REPAIR, keep_going=True), display.event)
    failed = [result for _, result in results if not result.success]
    for result in failed:
        print(result.message, file=sys.stderr)
    if failed:
        raise StoreError("not everything could be repaired", hint=_ADD_AGAIN)
    print("everything is as it should be", file=sys.stderr)
    return 0


def _path(store: RemoteStore, text: str) -> StorePath:
    """The store path, whether anything lies there or not.

    Raises:
        UsageError: not in the store.
    """
    absolute = os.path.abspath(text)
    if not absolute.startswith(store.directory + "/"):
        raise UsageError(f"'{text}' is not in the store", hint=f"store paths begin with {store.directory}/")
    return in_store(absolute, store.directory)[0]


def rebuild_database(_options: argparse.Namespace) -> int:
    """Make the database anew, in this process: no daemon may have the store open."""
    from fruix.store.rebuilding.rebuild import rebuild  # noqa: PLC0415 - the database

    see_store()
    done = rebuild(layout())
    for path, why in sorted(done.left_out.items()):
        print(f"left out: '{path}': {why}", file=sys.stderr)
    count = "1 path is" if done.registered == 1 else f"{done.registered} paths are"
    print(f"{count} valid", file=sys.stderr)
    if done.kept:
        print(f"the old database is kept: {done.kept}", file=sys.stderr)
    return 0


def give_to_guix(_options: argparse.Namespace) -> int:
    """Turn the database into Guix's, in this process: no daemon may have the store open."""
    from fruix.store.guix_database import give_back  # noqa: PLC0415 - the database

    see_store()
    kept = give_back(layout())
    print("guix-daemon can open the store now", file=sys.stderr)
    print(f"the old database is kept: {kept}", file=sys.stderr)
    return 0


# Commands that work on the store's files themselves.
WITHOUT_DAEMON = (rebuild_database, give_to_guix)
