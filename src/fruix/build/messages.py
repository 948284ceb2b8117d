"""The error texts of builds, in one place: what a client is told when a build doesn't succeed.

The forms are those that users of the peers know (see the manual of `nix-build`); the last lines of the log are part of the message, since a
client may have joined late or not have listened at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fruix.build.supervise import Ending
from fruix.errors import (
    BadDerivationError,
    FruixError,
    HashMismatchError,
    HostViewError,
    ObjectRejectedError,
    ReferenceCycleError,
    UsageError,
)
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit

# The first class that fits decides; anything else is a MISC_FAILURE.
STATUS_OF_ERROR: tuple[tuple[type[FruixError], BuildStatus], ...] = (
    (HashMismatchError, BuildStatus.OUTPUT_REJECTED),
    (ObjectRejectedError, BuildStatus.OUTPUT_REJECTED),
    (ReferenceCycleError, BuildStatus.OUTPUT_REJECTED),
    (HostViewError, BuildStatus.INPUT_REJECTED),
    (BadDerivationError, BuildStatus.INPUT_REJECTED),
    (UsageError, BuildStatus.INPUT_REJECTED),
)

STATUS_OF_ENDING: Mapping[Ending, BuildStatus] = {
    Ending.CANCELLED: BuildStatus.MISC_FAILURE,
    Ending.TIMEOUT: BuildStatus.TIMED_OUT,
    Ending.SILENCE: BuildStatus.TIMED_OUT,
    Ending.LOG_LIMIT: BuildStatus.LOG_LIMIT_EXCEEDED,
}


def status_of(error: FruixError) -> BuildStatus:
    """The build status that an error stands for."""
    return next(
        (status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), BuildStatus.MISC_FAILURE
    )


def exit_reason(exited: Exit) -> str:
    """`builder failed with exit code 2`, `builder failed due to signal 9`."""
    if exited.signal is not None:
        return f"builder failed due to signal {exited.signal}"
    return f"builder failed with exit code {exited.code}"


def ending_reason(ending: Ending, *, timeout: int, max_silent_time: int, max_log_size: int) -> str:
    """Why the daemon ended a build that would have gone on."""
    return {
        Ending.CANCELLED: "cancelled, since nobody waits for it any more",
        Ending.TIMEOUT: f"timed out after {timeout} seconds",
        Ending.SILENCE: f"timed out after {max_silent_time} seconds of silence",
        Ending.LOG_LIMIT: f"killed after writing more than {max_log_size} bytes of log output",
    }.get(ending, ending.value)


def failure_message(path: StorePath, derivation: Derivation, reason: str, last_lines: Iterable[str]) -> str:
    """The whole message about a failed build."""
    outputs = "".join(f"\n  {output.path}" for output in derivation.outputs.values())
    lines = list(last_lines)
    tail = f"\nLast {len(lines)} log lines:\n" + "\n".join(f"> {line}" for line in lines) if lines else ""
    return f"Cannot build '{path}'.\nReason: {reason}.\nOutput paths:{outputs}{tail}\nFor full logs, run:\n  fruix log {path}"
