"""`fruix ps`: the builds of all clients, running and queued."""

from __future__ import annotations

import argparse
import json
import time
from functools import partial

from fruix.cli.output.builds_table import table
from fruix.cli.output.terminal import harmless
from fruix.cli.request.connect import connect_looking
from fruix.errors import UnreachableError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the form of the rows."""
    parser.add_argument("--json", action="store_true", help="one JSON object per line and build")


def run(options: argparse.Namespace) -> int:
    """Print a row for each build of the daemon, or of the command with an embedded one."""
    try:
        store = connect_looking()
    except UnreachableError as error:
        hint = f"no command builds without one either; {error.hint}"
        raise UnreachableError(error.message, where=error.where, hint=hint) from error
    with store:
        builds = store.active_builds()
    if options.json:
        for build in builds:
            print(json.dumps({"version": 1, **build.to_json()}))
        return 0
    for line in table(builds, time.time(), partial(harmless, colour=False)):
        print(line)
    return 0
