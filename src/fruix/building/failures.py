"""The error texts of builds.

From what went wrong to a reason, a status, and the message that a client is told.

Texts are rows of `fruix.model.reason_rows`; each client reads them in its own words, also when several
share one build. The message of a result has the form that users of Nix know: derivation, reason,
outputs, the last lines of the log (a client may have joined late or not have listened at all).
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from fruix.errors import (
    BadDerivationError,
    BuildError,
    FruixError,
    HashMismatchError,
    HostViewChangedError,
    HostViewError,
    ObjectRejectedError,
    ReferenceCycleError,
    SuspiciousObjectError,
    UsageError,
)
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.hashes import Hash
from fruix.model.reason_rows import OTHER
from fruix.model.reasons import Reason, reason, row_of, text_of
from fruix.model.secrets import without_user
from fruix.model.storepath import StorePath
from fruix.model.text import printable
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


class FailedError(BuildError):
    """A build that failed for a reason that has a row of texts."""

    def __init__(
        self, drv: StorePath, why: Reason, *, status: BuildStatus | None = None, hint: str = ""
    ) -> None:
        """`status`: None: the one of the reason's row."""
        super().__init__(text_of(why, drv), hint=hint)
        self.why = why
        self.status = status or row_of(why).status


def status_of(error: FruixError) -> BuildStatus:
    """The build status that an error stands for."""
    if isinstance(error, FailedError):
        return error.status
    return next(
        (status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), BuildStatus.MISC_FAILURE
    )


def reason_of(error: FruixError) -> Reason:
    """The reason that an error stands for; one without a row of its own keeps the error's text."""
    if isinstance(error, FailedError):
        return error.why
    if isinstance(error, SuspiciousObjectError):
        return reason("suspicious", path=error.path)
    if isinstance(error, HostViewChangedError):
        return reason("view-differs", text=str(error))
    return reason(OTHER, text=str(error))


def exit_reason(exited: Exit) -> Reason:
    """How a builder ended that didn't succeed."""
    if exited.signal is None:
        return reason("exit-code", code=exited.code or 0)
    name = signal.strsignal(exited.signal) or "unknown signal"
    return reason("signal", signal=exited.signal, name=name)


def mismatch(
    drv: StorePath, derivation: Derivation, name: str, expected: Hash, got: Hash, url: str = ""
) -> FailedError:
    """A fixed output has other contents than declared.

    Programs of the Guix world read the hashes in their own form.

    `url`: where they are from; default: the first one that the derivation names, which is as good
    as known.
    """
    output = derivation.outputs[name]
    named = (derivation.env.get("urls") or derivation.env.get("url", "")).split()
    likely = url or (printable(without_user(named[0])) if named and "://" in named[0] else "")
    why = reason(
        "hash-mismatch",
        path=str(output.path),
        algorithm=output.method_algorithm,
        expected=expected.sri,
        got=got.sri,
        expected32=_guix_form(expected),
        got32=_guix_form(got),
        url=likely,
        likely=f"\n  likely URL: {likely}" if likely else "",
    )
    hint = "if the new contents are what you want, declare their hash; otherwise the source has been changed"
    return FailedError(drv, why, hint=hint)


def _guix_form(value: Hash) -> str:
    return value.base16 if value.algorithm == "md5" else value.nix32


# Reasons that say themselves what they are about: Nix puts nothing around them.
_BARE = frozenset(
    {
        "check-differs", "check-differs-kept", "closure-too-large", "cycle", "fixed-references",
        "hash-mismatch", "not-allowed", "too-large", "unnameable",
    }
)  # fmt: skip


def failure_message(
    path: StorePath,
    outputs: Iterable[StorePath],
    error: FruixError,
    last_lines: Iterable[str],
    details: Iterable[str] = (),
) -> str:
    """The whole message about a failed build.

    Args:
        path: the derivation.
        outputs: their paths, as far as they are known.
        error: what happened.
        last_lines: of its log.
        details: lines that belong to the reason.
    """
    why, more = str(error), "".join(f"\n  {line}" for line in details)
    if isinstance(error, FailedError) and error.why["kind"] in _BARE:
        return f"{why}{more}"
    why += "" if "\n" in why else "."
    paths = "".join(f"\n  {one}" for one in sorted(outputs))
    named = f"\nOutput paths:{paths}" if paths else ""
    lines = list(last_lines)
    tail = f"\nLast {len(lines)} log lines:\n" + "\n".join(f"> {line}" for line in lines) if lines else ""
    return f"Cannot build '{path}'.\nReason: {why}{more}{named}{tail}"
