"""`fruix import`: add what an export stream holds.

The stream may be of `fruix export`, `guix archive --export` or `nix-store --export`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from fruix.cli.output.amounts import size
from fruix.cli.output.counter_line import CounterLine
from fruix.cli.request.connect import open_store
from fruix.errors import UsageError

_PIECE = 1 << 18


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the file, and whether signatures count."""
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="default: standard input")
    parser.add_argument(
        "--no-check-sigs",
        action="store_true",
        help="take what isn't signed by an authorized key, too (for trusted users)",
    )


def run(options: argparse.Namespace) -> int:
    """Import the stream, and print the paths, each of which is valid from then on."""
    if options.file == "-" and sys.stdin.isatty():
        raise UsageError("an export stream doesn't come from a terminal", hint="fruix import FILE, or < FILE")
    descriptor = 0 if options.file == "-" else os.open(options.file, os.O_RDONLY | os.O_CLOEXEC)
    with open_store() as store, CounterLine("importing") as line:
        for path in store.import_stream(_pieces(descriptor, line), unchecked=options.no_check_sigs):
            print(path)
    return 0


def _pieces(descriptor: int, line: CounterLine) -> Iterator[bytes]:
    count = 0
    while data := os.read(descriptor, _PIECE):
        count += len(data)
        line.show(size(count))
        yield data
