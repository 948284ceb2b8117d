"""The error texts of builds, in one place: what a client is told when a build doesn't succeed.

The forms are those that users of the peers know; each text has two, Nix's (also ours) and Guix's. In the first the whole message names
derivation and outputs, and has the last lines of the log, since a client may have joined late or not have listened at all; in the second
it is one sentence that names the derivation itself, as it becomes part of a trace line.
"""

from __future__ import annotations

import signal
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

# Text → (Nix's and our form, Guix's form); `{…}` are the fields given to `text`.
TEXTS: Mapping[str, tuple[str, str]] = {
    "exit": ("builder failed with exit code {code}", "builder for `{drv}' failed with exit code {code}"),
    "signal": (
        "builder failed due to signal {code}",
        "builder for `{drv}' failed due to signal {code} ({name})",
    ),
    "timeout": ("timed out after {limit} seconds", "building of `{drv}' timed out after {limit} seconds"),
    "silence": (
        "timed out after {limit} seconds of silence",
        "building of `{drv}' timed out after {limit} seconds of silence",
    ),
    "log-limit": (
        "killed after writing more than {limit} bytes of log output",
        "building of `{drv}' killed after writing more than {limit} bytes of log output",
    ),
    "cancelled": ("cancelled, since nobody waits for it any more",) * 2,
    "no-output": (
        "builder failed to produce output path for output '{output}' at '{path}'",
        "builder for `{drv}' failed to produce output path `{path}'",
    ),
    "cycle": (
        "cycle detected in build of '{drv}' in the references of output '{output}' from output '{other}'",
        "cycle detected in the references of `{path}'",
    ),
    "not-allowed": (
        "output '{path}' is not allowed to refer to the following paths:{list}",
        "output (`{path}') is not allowed to refer to path `{first}'{chain}",
    ),
    "bad-rule": (
        (
            "derivation '{drv}' output check for '{output}' contains output name '{word}', but this is not a valid output of this "
            "derivation. (Valid outputs are [{valid}].)"
        ),
        "derivation contains an invalid reference specifier `{word}'",
    ),
    "graph-name": (
        "invalid file name '{name}' in 'exportReferencesGraph'",
        "invalid file name `{name}' in `exportReferencesGraph'",
    ),
    "graph-path": (
        "path '{path}' is not in the store",
        "`exportReferencesGraph' contains a non-store path `{path}'",
    ),
    "graph-invalid": (
        "cannot export references of path '{path}' because it is not in the input closure of the derivation",
        "`exportReferencesGraph' contains an invalid path `{path}'",
    ),
    "system": (
        "platform mismatch\nRequired system: '{wanted}'\nCurrent system: '{here}'",
        "a `{wanted}' is required to build `{drv}', but I am a `{here}'",
    ),
}

_ENDINGS = {
    Ending.CANCELLED: "cancelled",
    Ending.TIMEOUT: "timeout",
    Ending.SILENCE: "silence",
    Ending.LOG_LIMIT: "log-limit",
}


def text(key: str, *, guix: bool, **fields: object) -> str:
    """One of `TEXTS`, filled in."""
    return TEXTS[key][guix].format_map(fields)


def status_of(error: FruixError) -> BuildStatus:
    """The build status that an error stands for."""
    return next(
        (status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), BuildStatus.MISC_FAILURE
    )


def exit_reason(exited: Exit, drv: StorePath, *, guix: bool) -> str:
    """`builder failed with exit code 2`, `builder failed due to signal 9`."""
    if exited.signal is None:
        return text("exit", guix=guix, drv=drv, code=exited.code)
    name = signal.strsignal(exited.signal) or "unknown signal"
    return text("signal", guix=guix, drv=drv, code=exited.signal, name=name)


def ending_reason(ending: Ending, limit: int, drv: StorePath, *, guix: bool) -> str:
    """Why the daemon ended a build that would have gone on; `limit` is the one that was passed (seconds or bytes)."""
    return text(_ENDINGS[ending], guix=guix, drv=drv, limit=limit)


def failure_message(
    path: StorePath, derivation: Derivation, error: FruixError, last_lines: Iterable[str], *, guix: bool
) -> str:
    """The whole message about a failed build."""
    if guix:
        return f"{error}\nhint: {error.hint}" if error.hint else str(error)
    reason = f"{error}. Hint: {error.hint}" if error.hint else str(error)
    reason += "" if "\n" in reason else "."
    outputs = "".join(f"\n  {output.path}" for output in derivation.outputs.values())
    lines = list(last_lines)
    tail = f"\nLast {len(lines)} log lines:\n" + "\n".join(f"> {line}" for line in lines) if lines else ""
    return f"Cannot build '{path}'.\nReason: {reason}\nOutput paths:{outputs}{tail}\nFor full logs, run:\n  fruix log {path}"
