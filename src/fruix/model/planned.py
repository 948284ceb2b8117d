"""What a request will do, before it does it.

Builds with what they need and how long they usually take; the longest path.

A request's duration is bounded from below by its longest chain of builds and by all of them spread
over the daemon's jobs; the larger of the two is the estimate. Durations that nobody knows count as
0, so an estimate says of how many it knows nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.model.storepath import StorePath

MADE = frozenset({"build", "builtin"})
"""Kinds of what takes one of the daemon's jobs; everything else is fetched."""


@dataclass(frozen=True, slots=True)
class PlannedBuild:
    """One derivation that has to be built.

    Attributes:
        kind: `build`, `download`, `builtin` (the daemon makes it itself, of inputs), or `substitute`.
        missing: the outputs that are not valid; empty if it is wanted again although all are
            (check).
        needs: derivations of the same plan that come first.
        usual_ms: the median duration of the latest builds of that name, milliseconds; None if there
            is none.
        last: the derivation that was built last for the same package, perhaps this one; None if
            none is known.
    """

    drv: StorePath
    kind: str = "build"
    missing: tuple[str, ...] = ()
    needs: tuple[StorePath, ...] = ()
    usual_ms: int | None = None
    last: StorePath | None = None

    def to_json(self) -> dict[str, Any]:
        """One flat object; paths are texts, durations milliseconds."""
        return {
            "drv": str(self.drv),
            "kind": self.kind,
            "missing": list(self.missing),
            "needs": [str(path) for path in self.needs],
            "usual_ms": self.usual_ms,
            "last": str(self.last) if self.last else None,
        }


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """All that a request has to build, dependencies first.

    How many builds the daemon runs at once (0: not known); what can't be done.
    """

    builds: tuple[PlannedBuild, ...] = ()
    jobs: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """What a build would do, as a client is told before it.

    Derivations to build, outputs to substitute.

    `unknown` are paths that can't be had; sizes are in bytes.
    """

    will_build: Collection[StorePath] = ()
    will_substitute: Collection[StorePath] = ()
    unknown: Collection[StorePath] = ()
    download_size: int = 0
    nar_size: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long it will take (seconds), and by what that is decided.

    The chain of derivations that decides it is given first to last, and then how many durations are
    not known.
    """

    seconds: float
    path: tuple[StorePath, ...] = field(default=())
    unknown: int = 0


def longest_path(
    seconds: Mapping[StorePath, float], needs: Mapping[StorePath, Iterable[StorePath]]
) -> tuple[float, tuple[StorePath, ...]]:
    """The heaviest chain of a graph without cycles, first to last, and its weight.

    Steps, where weights tie, decide.

    Args:
        seconds: each node's own weight.
        needs: node → nodes that come before it; those that have no weight are left out.

    Iterative: any depth. Cost: one visit per node and edge.
    """
    best: dict[StorePath, tuple[float, int, StorePath | None]] = {}
    for start in seconds:
        stack = [start]
        while stack:
            node = stack[-1]
            before = [path for path in needs.get(node, ()) if path in seconds]
            if node in best:
                stack.pop()
            elif waiting := [path for path in before if path not in best]:
                stack.extend(waiting)
            else:
                weight, steps, last = max(
                    ((*best[path][:2], path) for path in before),
                    default=(0.0, 0, None),
                    key=lambda item: item[:2],
                )
                best[stack.pop()] = (weight + seconds[node], steps + 1, last)
    if not best:
        return 0.0, ()
    end: StorePath | None = max(best, key=lambda path: best[path][:2])
    assert end is not None
    total, path = best[end][0], []
    while end is not None:
        path.append(end)
        end = best[end][2]
    return total, tuple(reversed(path))


def estimate(builds: Iterable[PlannedBuild], jobs: int) -> Estimate:
    """See the module's description; `jobs` 0 means that their number doesn't bound anything."""
    rows = list(builds)
    known = {row.drv: (row.usual_ms or 0) / 1000 for row in rows}
    longest, path = longest_path(known, {row.drv: row.needs for row in rows})
    spread = sum(known[row.drv] for row in rows if row.kind in MADE) / jobs if jobs else 0.0
    return Estimate(max(longest, spread), path, sum(row.usual_ms is None for row in rows))
