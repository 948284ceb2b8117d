"""`fruix packages`: what the catalogue has."""

from __future__ import annotations

import argparse
import re

from fruix.cli.request.known import known_packages, one_line
from fruix.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the pattern of names and synopses."""
    parser.add_argument(
        "pattern",
        nargs="?",
        default="",
        help="show only those whose name or synopsis matches (regular expression)",
    )


def run(options: argparse.Namespace) -> int:
    """Print name, version and synopsis of each, a line each; status 1 if there is none."""
    try:
        pattern = re.compile(options.pattern, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"'{options.pattern}' is no regular expression: {error}") from error
    found = [package for package in known_packages() if pattern.search(f"{package.name} {package.synopsis}")]
    for package in found:
        print(one_line(package))
    return 0 if found else 1
