"""`fruix ps`: the builds of all clients, running and queued."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from fruix.cli.output.terminal import duration, harmless, plural, size
from fruix.cli.request.connect import connect_looking
from fruix.errors import UnreachableError
from fruix.model.activity import ActiveBuild, State

HEADINGS = ("BUILD", "STATE", "PHASE", "TIME", "USUAL", "CPU", "MEMORY", "PROCS", "FOR")
# Columns of figures.
RIGHT = frozenset({"TIME", "USUAL", "CPU", "MEMORY", "PROCS"})


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
    if not builds:
        print("nothing is being built")
        return 0
    for line in table(builds, time.time()):
        print(line)
    return 0


def table(builds: list[ActiveBuild], now: float) -> list[str]:
    """The rows as aligned text, headings first, a line with sums last."""
    rows = [HEADINGS, *(_cells(build, now) for build in builds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in RIGHT else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    queued = sum(build.state is State.QUEUED for build in builds)
    memory = sum(build.memory or 0 for build in builds)
    return [
        *lines,
        f"{plural(len(builds) - queued, 'build')} running, {queued} queued, {size(memory)} in use",
    ]


def _cells(build: ActiveBuild, now: float) -> tuple[str, ...]:
    since = build.submitted_ms if build.state is State.QUEUED else build.started_ms
    who = ", ".join(f"{client.user}({client.pid})" for client in build.clients)
    return (
        build.name,
        str(build.state),
        harmless(build.phase, colour=False) or "-",
        duration(max(0.0, now - since / 1000)),
        _or_dash(build.usual_ms, lambda value: duration(value / 1000)),
        _or_dash(build.cpu_us, lambda value: duration(value / 1e6)),
        _or_dash(build.memory, size),
        _or_dash(build.processes, str),
        harmless(who, colour=False) or "-",
    )


def _or_dash(value: int | None, shown: Callable[[int], str]) -> str:
    return "-" if value is None else shown(value)
