"""`fruix help`: what there is to do, or what a command does and takes: what `--help` says."""

from __future__ import annotations

import argparse

from fruix.cli.parser import parse


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="COMMAND",
        help="the command, and a command of it: 'fruix help store add'; default: all of them",
    )


def run(options: argparse.Namespace) -> int:
    """Print it."""
    parse([*options.words, "--help"])  # prints, and leaves
    return 0
