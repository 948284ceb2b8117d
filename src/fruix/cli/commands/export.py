"""`fruix export`: paths of the store as one stream.

`fruix import`, `guix archive --import` and `nix-store --import` take it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fruix.cli.output.amounts import size
from fruix.cli.output.counter_line import CounterLine
from fruix.cli.request.connect import open_store, sees_files
from fruix.cli.request.valid_paths import valid
from fruix.cli.request.word_lists import add_paths
from fruix.client.transfer import write_exports
from fruix.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the paths, whether to take what they need and to sign, and where to write."""
    add_paths(parser)
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="with all that they need, directly or not"
    )
    parser.add_argument(
        "--sign", action="store_true", help="signed by the daemon in Guix's form (setting signing-key-file)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (default: standard output)")


def run(options: argparse.Namespace) -> int:
    """Write the stream to a file or to standard output, which must not be a terminal."""
    if not options.output and sys.stdout.isatty():
        raise UsageError("an archive is nothing for a terminal", hint="-o FILE, or > FILE")
    with open_store() as store, CounterLine("exporting") as line, _output(options.output) as write:
        wanted = {valid(store, text)[0] for text in options.paths}
        infos = store.closure_infos(wanted)
        if not options.recursive:
            infos = [info for info in infos if info.path in wanted]
        whole = size(sum(info.nar_size for info in infos))
        written = 0

        def counted(data: bytes) -> None:
            nonlocal written
            write(data)
            written += len(data)
            line.show(f"{size(written)} of {whole}")

        write_exports(store, infos, counted, sign=options.sign, here=sees_files())
    print(f"exported {line.summary(len(infos), written)}", file=sys.stderr)
    return 0


@contextmanager
def _output(file: str | None) -> Iterator[Callable[[bytes], object]]:
    """Give what writes to a file, which isn't left there half written, or to standard output."""
    if not file:
        yield sys.stdout.buffer.write
        return
    part = f"{file}.part"
    with open(part, "wb") as stream:
        try:
            yield stream.write
            stream.flush()
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise
