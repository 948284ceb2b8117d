"""`fruix enter`: a shell in the sandbox of a derivation, with its environment and directories."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from fruix.cli.output.terminal import harmless
from fruix.cli.request.connect import open_store
from fruix.cli.request.current_tools import Overtaken, show_anew, with_current_tools
from fruix.cli.request.pty_relay import relay
from fruix.cli.request.realise import realise
from fruix.cli.request.signals import end_in_order
from fruix.cli.request.targets import derivation_for, is_store_path, lowering
from fruix.client import RemoteStore
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the derivation, and after `--` what to run instead of a shell."""
    parser.usage = "fruix enter [-h] [--fresh] DRV|PATH|PACKAGE [-- COMMAND ...]"
    parser.add_argument(
        "target", metavar="DRV|PATH|PACKAGE", help="a derivation, an output, or a package of the catalogue"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="new directories, also where those of a failed build are kept"
    )
    parser.add_argument(
        "words", nargs="*", metavar="COMMAND", help="after '--': run this and leave, instead of a shell"
    )


def run(options: argparse.Namespace) -> int:
    """Build what it needs, then go in."""
    with open_store() as store:
        end_in_order()
        overtaken = Overtaken()
        return with_current_tools(lambda: _enter(store, options, overtaken), show_anew)


def _enter(store: RemoteStore, options: argparse.Namespace, overtaken: Overtaken) -> int:
    drv = _with_inputs(store, options.target, overtaken)
    return store.enter(drv, os.environ.get("TERM", "dumb"), options.words, _inside(drv), fresh=options.fresh)


def _inside(drv: StorePath) -> Callable[[int, str], None]:
    def on_open(outer: int, text: str) -> None:
        print(
            f"entering the sandbox of {drv.name.removesuffix('.drv')}: {harmless(text, colour=False)}",
            file=sys.stderr,
        )
        print("nothing that is done there is kept; /etc/fruix-builder runs the builder", file=sys.stderr)
        relay(outer)

    return on_open


def _with_inputs(store: RemoteStore, word: str, overtaken: Overtaken) -> StorePath:
    """The derivation that a word means; its inputs are built, as the shell sees them."""
    drv = derivation_for(store, word)
    derivation = store.read_derivation(drv)
    requests = [DerivedPath(path, tuple(names)) for path, names in derivation.input_drvs.items()]
    lowered = [] if is_store_path(store, word) else [drv]
    realise(
        store,
        requests,
        lowering(store),
        "its inputs first: ",
        check=lambda failures: overtaken.check(failures, lowered),
    )
    return drv
