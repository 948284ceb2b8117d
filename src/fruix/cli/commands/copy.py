"""`fruix copy`: paths, with all that they need, from one store to another, from socket to socket."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fruix.cli.output.amounts import size
from fruix.cli.output.counter_line import CounterLine
from fruix.cli.request.connect import open_store, sees_files
from fruix.cli.request.valid_paths import valid
from fruix.cli.request.word_lists import add_paths
from fruix.client import RemoteStore, connect
from fruix.client.transfer import Copying, copy
from fruix.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the paths, and the two daemons' sockets."""
    add_paths(parser)
    parser.add_argument("--from", dest="source", metavar="SOCKET", help="a daemon that has them")
    parser.add_argument("--to", dest="destination", metavar="SOCKET", help="a daemon that is to have them")
    parser.add_argument(
        "--no-check-sigs",
        action="store_true",
        help="have them taken without signatures, by a daemon that trusts you",
    )


def run(options: argparse.Namespace) -> int:
    """Copy what is missing; done again, it goes on where it was interrupted."""
    if not options.source and not options.destination:
        raise UsageError(
            "from where, or where to?", hint="fruix copy --from SOCKET PATH…, or fruix copy --to SOCKET PATH…"
        )
    with _store(options.source) as source, _store(options.destination) as destination:
        paths = [valid(source, text)[0] for text in options.paths]
        with CounterLine("copying") as line:
            last = Copying()

            def show(state: Copying) -> None:
                nonlocal last
                last = state
                line.show(
                    f"{state.objects} of {state.all_objects} paths, "
                    f"{size(state.size)} of {size(state.whole_size)}"
                )

            copied = copy(
                source,
                destination,
                paths,
                unchecked=options.no_check_sigs,
                here=not options.source and sees_files(),
                on_progress=show,
            )
    for path in copied:
        print(path)
    print(
        f"copied {line.summary(len(copied), last.size)}" if copied else "nothing is missing", file=sys.stderr
    )
    return 0


@contextmanager
def _store(socket: str | None) -> Iterator[RemoteStore]:
    """The daemon at a socket; without one, the store that all commands work with."""
    if socket is None:
        with open_store() as store:
            yield store
        return
    with connect(os.path.abspath(socket.removeprefix("unix://"))) as store:
        yield store
