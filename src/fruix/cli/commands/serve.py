"""`fruix serve`: the other end of `ssh://` of Nix's clients; also as a program called `nix-store`."""

from __future__ import annotations

import argparse
import sys

from fruix.cli.output.terminal import harmless
from fruix.cli.request.connect import layout, open_stream


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what is served, and how far."""
    parser.add_argument(
        "--stdio",
        "--serve",
        action="store_true",
        required=True,
        help="serve one client on standard input and output, as 'ssh://' and 'nix-store --serve' do: by the"
        " daemon at the socket, else by one that is embedded",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="let it add and build, too, as far as the daemon trusts this user",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until the client leaves."""
    from fruix.client.remote import RemoteStore  # noqa: PLC0415 - not for the parser of all commands
    from fruix.client.serving import Serving  # noqa: PLC0415

    with open_stream() as stream, RemoteStore(stream, layout().store) as store:
        Serving(store, sys.stdin.fileno(), sys.stdout.fileno(), options.write, _say).run()
    return 0


def _say(line: str) -> None:
    print(harmless(line, colour=False), file=sys.stderr, flush=True)
