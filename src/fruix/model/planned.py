"""What a request will do, before it does it: builds with what they need and how long they usually take.

How long all of it takes, and its longest path, `estimate` tells.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fruix.dataclass import dataclass
from fruix.model.storepath import StorePath


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
