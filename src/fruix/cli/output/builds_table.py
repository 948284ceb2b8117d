"""The builds of a daemon as a table (`fruix ps`), for those that can afford to import next to nothing."""

from __future__ import annotations

from fruix.cli.output.amounts import duration, plural, size

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

HEADINGS = ("BUILD", "STATE", "PHASE", "TIME", "USUAL", "CPU", "MEMORY", "PROCS", "FOR")
# Columns of figures.
RIGHT = frozenset({"TIME", "USUAL", "CPU", "MEMORY", "PROCS"})
_QUEUED = "queued"  # `State.QUEUED`, which is equal to it


def table(builds: Sequence[Any], now: float, shown: Callable[[str], str]) -> list[str]:
    """The rows as aligned text, headings first, a line with sums last; or that there is nothing to show.

    Args:
        builds: what has the attributes of `model.activity.ActiveBuild`.
        now: seconds since the epoch.
        shown: how a text of a builder's or a user's is shown.
    """
    if not builds:
        return ["nothing is being built"]
    rows = [HEADINGS, *(_cells(build, now, shown) for build in builds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in RIGHT else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    queued = sum(build.state == _QUEUED for build in builds)
    memory = sum(build.memory or 0 for build in builds)
    return [
        *lines,
        f"{plural(len(builds) - queued, 'build')} running, {queued} queued, {size(memory)} in use",
    ]


def _cells(build: Any, now: float, shown: Callable[[str], str]) -> tuple[str, ...]:
    since = build.submitted_ms if build.state == _QUEUED else build.started_ms
    who = ", ".join(f"{client.user}({client.pid})" for client in build.clients)
    return (
        build.name,
        str(build.state),
        shown(build.phase) or "-",
        duration(max(0.0, now - since / 1000)),
        _or_dash(build.usual_ms, lambda value: duration(value / 1000)),
        _or_dash(build.cpu_us, lambda value: duration(value / 1e6)),
        _or_dash(build.memory, size),
        _or_dash(build.processes, str),
        shown(who) or "-",
    )


def _or_dash(value: int | None, shown: Callable[[int], str]) -> str:
    return "-" if value is None else shown(value)
