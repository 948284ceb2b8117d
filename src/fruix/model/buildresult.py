"""How builds end, with the numbers that the worker protocol gives to it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from fruix.dataclass import dataclass, field
from fruix.model.storepath import StorePath


class BuildMode(enum.IntEnum):
    """What a build request is for."""

    NORMAL = 0
    REPAIR = 1
    CHECK = 2


class BuildStatus(enum.IntEnum):
    """The outcome of one goal."""

    BUILT = 0
    SUBSTITUTED = 1
    ALREADY_VALID = 2
    PERMANENT_FAILURE = 3
    INPUT_REJECTED = 4
    OUTPUT_REJECTED = 5
    TRANSIENT_FAILURE = 6
    CACHED_FAILURE = 7
    TIMED_OUT = 8
    MISC_FAILURE = 9
    DEPENDENCY_FAILED = 10
    LOG_LIMIT_EXCEEDED = 11
    NOT_DETERMINISTIC = 12
    RESOLVES_TO_ALREADY_VALID = 13
    NO_SUBSTITUTERS = 14


SUCCESSES = frozenset(
    {
        BuildStatus.BUILT,
        BuildStatus.SUBSTITUTED,
        BuildStatus.ALREADY_VALID,
        BuildStatus.RESOLVES_TO_ALREADY_VALID,
    }
)


@dataclass(frozen=True, slots=True)
class BuildResult:
    """One goal's end. Times in seconds since the epoch, CPU times in microseconds (None: not known).

    `outputs` holds the valid outputs by name; `drv_hash` is the hex of the derivation's masked hash
    modulo, which names them on the wire. `hint` tells what to do about a failure, with commands of
    `fruix`. `drv`: whose outputs they are, if that is an output itself.
    """

    status: BuildStatus
    message: str = ""
    times_built: int = 0
    non_deterministic: bool = False
    start_time: int = 0
    stop_time: int = 0
    cpu_user_us: int | None = None
    cpu_system_us: int | None = None
    outputs: Mapping[str, StorePath] = field(default_factory=dict)
    drv_hash: str = ""
    hint: str = ""
    drv: StorePath | None = None

    @property
    def success(self) -> bool:
        """Whether everything that was wanted is valid now."""
        return self.status in SUCCESSES
