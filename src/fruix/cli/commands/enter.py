"""`fruix enter`: a shell in the sandbox of a derivation, with its environment and directories."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from fruix.cli.output.terminal import harmless
from fruix.cli.request.connect import open_store
from fruix.cli.request.pty_relay import relay
from fruix.cli.request.realise import realise
from fruix.cli.request.resolve import derivation_for, lowering
from fruix.cli.request.signals import end_in_order
from fruix.client import RemoteStore
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
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
        drv = derivation_for(store, options.target)
        _build_inputs(store, drv)
        return store.enter(
            drv, os.environ.get("TERM", "dumb"), options.words, _inside(drv), fresh=options.fresh
        )


def _inside(drv: StorePath) -> Callable[[int, str], None]:
    def on_open(outer: int, text: str) -> None:
        print(
            f"entering the sandbox of {drv.name.removesuffix('.drv')}: {harmless(text, colour=False)}",
            file=sys.stderr,
        )
        print("nothing that is done there is kept; /etc/fruix-builder runs the builder", file=sys.stderr)
        relay(outer)

    return on_open


def _build_inputs(store: RemoteStore, drv: StorePath) -> None:
    """The shell sees them."""
    derivation = store.read_derivation(drv)
    requests = [DerivedPath(path, tuple(names)) for path, names in derivation.input_drvs.items()]
    realise(store, requests, lowering(store), "its inputs first: ")
