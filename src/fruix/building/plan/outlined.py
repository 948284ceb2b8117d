"""Planning with outlines: usual derivations, where no binary cache is asked and nothing is experimental.

It does for them what `goals` does for all, and leaves to it what has to be refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fruix.building.plan.goal import Goal, Plan
from fruix.building.plan.seen import Seen, add_names
from fruix.building.plan.unresolved import have_outputs, is_settled
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import ALL
from fruix.model.storepath import StorePath


def may_be_built(seen: Seen, path: StorePath, wanted: Mapping[StorePath, Collection[str]]) -> bool:
    """Whether it has an outline and the outputs that are wanted, and its sources are there."""
    outline, names = seen.outlines.get(path), wanted.get(path, ())
    if outline is None:
        return False
    if names is outline.names and path in seen.unbuilt:
        return True
    known = names == outline.names or all(name in outline.names or name in ALL for name in names)
    return known and seen.are_there(outline.sources)


def open_outlined(
    seen: Seen,
    found: Plan,
    path: StorePath,
    wanted: dict[StorePath, Collection[str]],
    mode: BuildMode,
) -> Sequence[StorePath] | None:
    """Settle a derivation that has an outline, or put it down as a goal and return what it needs first."""
    outline, unbuilt = seen.outlines[path], seen.unbuilt
    if path not in unbuilt:
        if mode is BuildMode.NORMAL and all(map(seen.is_there, outline.paths(wanted.get(path, ())))):
            found.settled[path] = BuildResult(BuildStatus.ALREADY_VALID, outputs=outline.output_paths)
            return None
        seen.local.temp_roots.add_all(outline.outputs)  # a build makes them all, whichever are wanted
        if mode is BuildMode.NORMAL and seen.have_gone(outline.outputs):
            mode = BuildMode.REPAIR
    needed: Sequence[StorePath] = outline.inputs
    had = set()
    for drv, names in zip(needed, outline.wanted, strict=True):
        if wanted.setdefault(drv, names) is not names:
            add_names(wanted, drv, names)
        if drv not in unbuilt and _is_had(seen, found, drv, names):
            had.add(drv)
    if had:
        needed = tuple([drv for drv in needed if drv not in had])
    found.goals[path] = Goal(path, outline, needed, mode, store=seen.local)
    return needed


def _is_had(seen: Seen, found: Plan, drv: StorePath, names: Collection[str]) -> bool:
    """Whether an input's wanted outputs are there; if only others of its outputs are, it is open again."""
    outline = seen.outlines.get(drv)
    if outline is None:
        return have_outputs(seen, found, drv, names) or is_settled(found, seen, drv, names)
    if drv in found.goals:
        return False
    result = found.settled.get(drv)
    if result is not None and not result.success:
        return False
    paths = outline.paths(names)
    there = all(map(seen.is_there, paths)) and all(name in outline.names for name in names)
    if result is not None and not there:
        del found.settled[drv]
    return there
