"""Results of jobs that were not run to their end; to be told by identity."""

from __future__ import annotations

from fruix.model.buildresult import BuildResult, BuildStatus

CANCELLED = BuildResult(BuildStatus.MISC_FAILURE, "cancelled")
# Its machine was lost: another one may do it, or this one.
AGAIN = BuildResult(BuildStatus.TRANSIENT_FAILURE, "to be tried elsewhere")
# What would have been built, had the daemon not been ending.
NOT_BEGUN = BuildResult(
    BuildStatus.TRANSIENT_FAILURE,
    "not begun, since the daemon is ending: ask again when it has been started anew",
)
