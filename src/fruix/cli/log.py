"""`fruix log`: the log of a build, by derivation, by output, or by package name."""

from __future__ import annotations

import argparse
import os
import sys

from fruix.build.logs import read_log
from fruix.build.records import read_record, record_path
from fruix.cli.connect import layout, open_store
from fruix.cli.resolve import derivation_for
from fruix.cli.text import harmless, wants_colour
from fruix.errors import FruixError


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument(
        "target", metavar="DRV|PATH|PACKAGE", help="a derivation, an output, or a package of the catalogue"
    )
    parser.add_argument("--record", action="store_true", help="print the build record (JSON) instead")
    parser.add_argument("--raw", action="store_true", help="print the log's bytes as they are")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    with open_store() as store:
        drv = derivation_for(store, options.target)
    log_file = layout().log_file(drv)
    missing = f"no log of '{drv}'"
    hint = "it was never built on this machine"
    if options.record:
        if read_record(log_file) is None:
            raise FruixError(missing.replace("log", "build record"), hint=hint)
        with open(record_path(log_file), encoding="utf-8") as file:
            sys.stdout.write(file.read())
        return 0
    if not os.path.exists(log_file):
        raise FruixError(missing, hint=hint)
    _print(log_file, raw=options.raw or not sys.stdout.isatty())
    return 0


def _print(log_file: str, *, raw: bool) -> None:
    sys.stdout.flush()
    if raw:
        for chunk in read_log(log_file):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    colour = wants_colour(sys.stdout)
    partial = b""
    for chunk in read_log(log_file):
        *lines, partial = (partial + chunk).split(b"\n")
        for line in lines:
            print(harmless(line.decode("utf-8", "replace"), colour=colour))
    if partial:
        print(harmless(partial.decode("utf-8", "replace"), colour=colour))
