"""A plan as text: the line before a build, and the list of `--dry-run` with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

from fruix.cli.output.amounts import duration
from fruix.cli.output.headline import NAMED, chained, counted
from fruix.cli.output.terminal import harmless
from fruix.model.buildresult import BuildMode
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.model.storepath import StorePath

_SHORT_NAME = attrgetter("short_name")


def chain(path: Iterable[StorePath]) -> str:
    """`a → b → c`; a long one with its ends only."""
    return chained(map(_SHORT_NAME, path))


def some(names: Iterable[str]) -> str:
    """`a, b, c and 4 more`."""
    every = list(names)
    shown = ", ".join(every[:NAMED])
    return f"{shown} and {len(every) - NAMED} more" if len(every) > NAMED else shown


def headline(plan: BuildPlan, mode: BuildMode = BuildMode.NORMAL) -> str:
    """`12 to build, 31 to fetch, about 6 min, longest path a → b`."""
    if mode is BuildMode.REPAIR and plan.builds and not any(row.missing for row in plan.builds):
        return f"{len(plan.builds)} to look at, and to repair if damaged"
    return counted(plan.builds, plan.jobs, plan.problems, _SHORT_NAME)


def listing(
    plan: BuildPlan,
    mode: BuildMode = BuildMode.NORMAL,
    changed: Mapping[StorePath, Sequence[str]] = MappingProxyType({}),
) -> list[str]:
    """Every derivation with its reason, what it needs and what needs it, and its usual duration.

    Args:
        plan: what would be done.
        mode: what for.
        changed: derivation → what differs from what was built last for the same package.
    """
    needed_by: dict[StorePath, list[str]] = {}
    for row in plan.builds:
        for path in row.needs:
            needed_by.setdefault(path, []).append(row.drv.short_name)
    lines = []
    for row in plan.builds:
        lines += [
            _first_line(row),
            *(f"       {text}" for text in _reasons(row, mode, changed.get(row.drv, ()), needed_by)),
            f"       {row.drv}",
        ]
    return [*lines, *(f"can't be done: {harmless(text, colour=False)}" for text in plan.problems)]


def _first_line(row: PlannedBuild) -> str:
    usual = "never done here" if row.usual_ms is None else f"usually {duration(row.usual_ms / 1000)}"
    return f"{'fetch' if row.kind == 'download' else 'build'}  {row.drv.short_name}  ({usual})"


def _reasons(
    row: PlannedBuild, mode: BuildMode, changed: Sequence[str], needed_by: Mapping[StorePath, list[str]]
) -> list[str]:
    reasons = []
    if row.missing:
        outputs = ", ".join(f"'{harmless(name, colour=False)}'" for name in row.missing)
        reasons.append(f"missing: output{'s' if len(row.missing) > 1 else ''} {outputs}")
    elif mode is BuildMode.REPAIR:
        reasons.append("valid: built again if it is damaged")
    else:
        reasons.append("valid already: built again, as asked")
    if changed:
        reasons.append(f"changed since the last build: {harmless(some(changed), colour=False)}")
    if row.drv in needed_by:
        reasons.append(f"needed by: {some(needed_by[row.drv])}")
    if row.needs:
        reasons.append(f"after: {some(drv.short_name for drv in row.needs)}")
    return reasons
