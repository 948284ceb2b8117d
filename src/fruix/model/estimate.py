"""How long what is planned will take (`planned`), and by what that is decided; imports next to nothing.

A request's duration is bounded from below by its longest chain of builds and by all of them spread
over the daemon's jobs; the larger of the two is the estimate. Durations that nobody knows count as
0, so an estimate says of how many it knows nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    N = TypeVar("N", bound=Hashable)

MADE = frozenset({"build", "builtin"})
"""Kinds of what takes one of the daemon's jobs; everything else is fetched."""


def longest_path(seconds: Mapping[N, float], needs: Mapping[N, Iterable[N]]) -> tuple[float, tuple[N, ...]]:
    """The heaviest chain of a graph without cycles, first to last, and its weight.

    Steps, where weights tie, decide.

    Args:
        seconds: each node's own weight.
        needs: node → nodes that come before it; those that have no weight are left out.

    Iterative: any depth. Cost: one visit per node and edge.
    """
    best: dict[N, tuple[float, int, N | None]] = {}
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
    end: N | None = max(best, key=lambda path: best[path][:2])
    assert end is not None
    total, path = best[end][0], []
    while end is not None:
        path.append(end)
        end = best[end][2]
    return total, tuple(reversed(path))


class Estimate:
    """What is to be expected.

    Attributes:
        seconds: how long it will take.
        path: the chain of derivations that decides it, first to last.
        unknown: how many durations are not known.
    """

    __slots__ = ("path", "seconds", "unknown")

    def __init__(self, seconds: float, path: tuple[Any, ...] = (), unknown: int = 0) -> None:
        self.seconds, self.path, self.unknown = seconds, path, unknown


def estimate(builds: Sequence[Any], jobs: int) -> Estimate:
    """See the module's description; `jobs` 0 means that their number doesn't bound anything.

    `builds` have the attributes of `PlannedBuild`.
    """
    known = {row.drv: (row.usual_ms or 0) / 1000 for row in builds}
    longest, path = longest_path(known, {row.drv: row.needs for row in builds})
    spread = sum(known[row.drv] for row in builds if row.kind in MADE) / jobs if jobs else 0.0
    return Estimate(max(longest, spread), path, sum(row.usual_ms is None for row in builds))
