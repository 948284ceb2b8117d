"""Kinds of reasons why a build went as it did. Their values fill a row's texts; `{drv}` is always there."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.dataclass import dataclass
from fruix.model.buildresult import BuildStatus

OTHER = "other"
_REJECTED = BuildStatus.INPUT_REJECTED


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One kind of reason.

    Attributes:
        text: for people, and for clients of the Nix dialect: one line.
        more: what follows it there, such as further lines that list things.
        guix: in the words of the Guix dialect, whose programs read it; empty: the same, with its quotes.
        status: of a build that failed for it, unless its own circumstances say more.
        traced: whether the Guix dialect traces such a failure: not where nothing had begun.
    """

    text: str
    guix: str = ""
    more: str = ""
    status: BuildStatus = BuildStatus.MISC_FAILURE
    traced: bool = True


_SUBSTITUTES = (
    "some substitutes for the outputs of derivation `{drv}' failed (usually happens due to networking"
    " issues); try `--fallback' to build derivation from source "
)
ROWS: Mapping[str, ReasonRow] = {
    OTHER: ReasonRow("{text}"),
    "exit-code": ReasonRow(
        "builder failed with exit code {code}",
        "builder for `{drv}' failed with exit code {code}",
        status=BuildStatus.PERMANENT_FAILURE,
    ),
    "signal": ReasonRow(
        "builder failed due to signal {signal} ({name})",
        "builder for `{drv}' failed due to signal {signal} ({name})",
        status=BuildStatus.PERMANENT_FAILURE,
    ),
    "cancelled": ReasonRow(
        "cancelled, since nobody waits for it any more",
        "building of `{drv}' cancelled, since nobody waits for it any more",
    ),
    "timeout": ReasonRow(
        "timed out after {limit} seconds",
        "building of `{drv}' timed out after {limit} seconds",
        status=BuildStatus.TIMED_OUT,
    ),
    "silence": ReasonRow(
        "timed out after {limit} seconds of silence",
        "building of `{drv}' timed out after {limit} seconds of silence",
        status=BuildStatus.TIMED_OUT,
    ),
    "log-limit": ReasonRow(
        "killed after writing more than {limit} bytes of log output",
        "building of `{drv}' killed after writing more than {limit} bytes of log output",
        status=BuildStatus.LOG_LIMIT_EXCEEDED,
    ),
    "processes": ReasonRow(
        "killed when it had more than {limit} processes and threads (setting max-processes)",
        "building of `{drv}' killed when it had more than {limit} processes and threads",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "memory": ReasonRow(
        "killed for using more than {limit} bytes of memory (setting max-memory)",
        "building of `{drv}' killed for using more than {limit} bytes of memory",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "out-of-memory": ReasonRow(
        "killed by the kernel, since the machine is out of memory",
        "building of `{drv}' killed by the kernel, since the machine is out of memory",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "disk": ReasonRow(
        "killed because less than {limit} bytes were left on the disk of '{path}' (setting min-free)",
        "building of `{drv}' killed because less than {limit} bytes were left on the disk of `{path}'",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "inodes": ReasonRow(
        "killed because less than {limit} files could still be made on the disk of '{path}'"
        " (setting min-free-files)",
        "building of `{drv}' killed because less than {limit} files could still be made on the disk"
        " of `{path}'",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "files": ReasonRow(
        "its outputs hold more than {limit} files and directories (setting max-output-files)",
        "outputs of `{drv}' hold more than {limit} files and directories",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "contents": ReasonRow(
        "its outputs claim to hold more than {limit} bytes of contents (setting max-output-size)",
        "outputs of `{drv}' claim to hold more than {limit} bytes of contents",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "view-changed": ReasonRow(
        "host view '{view}' was changed while it was built: {what}",
        "host view `{view}' was changed while `{drv}' was built: {what}",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "view-differs": ReasonRow("{text}", status=_REJECTED),
    "hook": ReasonRow("program '{program}' failed with {how}"),
    "no-output": ReasonRow(
        "builder failed to produce output path for output '{output}' at '{path}'",
        "builder for `{drv}' failed to produce output path `{path}'",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "suspicious": ReasonRow(
        "suspicious ownership or permission on '{path}'; rejecting this build output",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "hash-mismatch": ReasonRow(
        "hash mismatch in fixed-output derivation '{drv}'",
        "hash mismatch for store item '{path}'",
        more=":{likely}\n  specified: {expected}\n     got:    {got}",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "download": ReasonRow(
        "unable to download '{url}': {text}",
        "builder for `{drv}' failed to download `{url}': {text}{others}",
        more="{others}",
        status=BuildStatus.TRANSIENT_FAILURE,
    ),
    "cycle": ReasonRow(
        "cycle detected in build of '{drv}' in the references of output '{output}' from output '{other}'",
        "cycle detected in the references of `{path}'{found}",
        more="{found}",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "not-allowed": ReasonRow(
        "output '{path}' is not allowed to refer to the following paths",
        "output (`{path}') is not allowed to refer to path `{first}'{found}",
        more=":{all}",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "too-large": ReasonRow(
        "path '{path}' is too large at {size} bytes; limit is {limit} bytes",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "closure-too-large": ReasonRow(
        "closure of path '{path}' is too large at {size} bytes; limit is {limit} bytes",
        "closure of path `{path}' is too large at {size} bytes; limit is {limit} bytes{found}",
        more="{found}",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "fixed-references": ReasonRow(
        "fixed-output derivations must not reference store paths: '{drv}' references {count} distinct paths,"
        " e.g. '{path}'",
        "fixed-output derivations must not reference store paths: `{drv}' references {count} distinct paths,"
        " e.g. `{path}'{found}",
        more="{found}",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "unnameable": ReasonRow(
        "fixed output derivation '{name}' is not allowed to refer to other store paths",
        status=BuildStatus.OUTPUT_REJECTED,
    ),
    "input-gone": ReasonRow("input '{path}' is registered, but its files are gone"),
    # Building again
    "check-differs": ReasonRow(
        "derivation '{drv}' may not be deterministic: output '{path}' differs",
        status=BuildStatus.NOT_DETERMINISTIC,
    ),
    "check-differs-kept": ReasonRow(
        "derivation '{drv}' may not be deterministic: output '{path}' differs from '{kept}'",
        status=BuildStatus.NOT_DETERMINISTIC,
    ),
    "round-differs": ReasonRow(
        "output '{path}' of '{drv}' differs from previous round",
        status=BuildStatus.NOT_DETERMINISTIC,
    ),
    "round-differs-kept": ReasonRow(
        "output '{path}' of '{drv}' differs from '{kept}' from previous round",
        status=BuildStatus.NOT_DETERMINISTIC,
    ),
    "missing-outputs": ReasonRow(
        "some outputs of '{drv}' are not valid, so checking is not possible",
        "`{drv}' is missing outputs; build it normally before using `--check'",
        traced=False,
    ),
    # What a derivation declares and can't have
    "bad-rule": ReasonRow(
        (
            "output check for '{output}' contains output name '{word}', but this is not a valid output"
            " of this derivation. (Valid outputs are [{valid}].)"
        ),
        "derivation contains an invalid reference specifier `{word}'",
        status=_REJECTED,
    ),
    "graph-name": ReasonRow(
        "invalid file name '{name}' in 'exportReferencesGraph'",
        "invalid file name `{name}' in `exportReferencesGraph'",
        status=_REJECTED,
    ),
    "graph-path": ReasonRow(
        "path '{path}' is not in the store",
        "`exportReferencesGraph' contains a non-store path `{path}'",
        status=_REJECTED,
    ),
    "graph-invalid": ReasonRow(
        "cannot export references of path '{path}' because it is not in the input closure of the derivation",
        "`exportReferencesGraph' contains an invalid path `{path}'",
        status=_REJECTED,
    ),
    "system": ReasonRow(
        "platform mismatch",
        "a `{wanted}' is required to build `{drv}', but I am a `{here}'",
        more="\nRequired system: '{wanted}'\nCurrent system: '{here}'",
    ),
    "features": ReasonRow(
        "missing system features",
        "missing system features: {wanted}",
        more="\nRequired features: {{{wanted}}}\nAvailable features: {{{here}}}",
    ),
    "too-much": ReasonRow(
        "its arguments and variables are more than the system can give to a program",
        "arguments and variables of `{drv}' are more than the system can give to a program",
        status=_REJECTED,
    ),
    "experimental": ReasonRow(
        "experimental Nix feature '{feature}' is disabled; "
        "add '--extra-experimental-features {feature}' to enable it",
        status=_REJECTED,
    ),
    "recursive": ReasonRow("builders can't talk to this daemon: it has no 'recursive-nix'", status=_REJECTED),
    "open": ReasonRow("a builder with a network can't talk to this daemon", status=_REJECTED),
    "impure-input": ReasonRow(
        "pure derivation '{drv}' depends on impure derivation '{path}'", status=_REJECTED
    ),
    "no-sandbox": ReasonRow(
        "derivation '{drv}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'",
        status=_REJECTED,
    ),
    "host-path": ReasonRow("it requests the impure path '{path}', but none is allowed", status=_REJECTED),
    # Before anything is built
    "cached": ReasonRow(
        "the build of '{path}' failed previously (cached)",
        "builder for `{path}' failed previously (cached)",
        status=BuildStatus.CACHED_FAILURE,
    ),
    "dependencies": ReasonRow(
        "{count} {noun} failed ('{first}')",
        "cannot build derivation `{drv}': {count} dependencies couldn't be built",
        status=BuildStatus.DEPENDENCY_FAILED,
        traced=False,
    ),
    "missing-derivation": ReasonRow("cannot build missing derivation '{drv}'", traced=False),
    "no-slots": ReasonRow(
        "local builds are disabled (max-jobs = 0)",
        "unable to start any build; either increase `--max-jobs' or enable distributed builds",
        traced=False,
    ),
    "irreparable": ReasonRow(
        "path '{path}' is corrupted or missing, and nothing on this machine can make it again",
        traced=False,
    ),
    # Binary caches
    "unobtainable": ReasonRow(
        "path '{path}' is required, but there is no substituter that can build it",
        "path `{path}' is required, but there is no substituter that can build it",
        status=BuildStatus.NO_SUBSTITUTERS,
        traced=False,
    ),
    "substitute": ReasonRow(
        "substitution of '{path}' failed: {text}", "fetching path `{path}' (status: '{text}')", traced=False
    ),
    "substitute-mismatch": ReasonRow(
        "hash mismatch importing path '{path}' from '{url}'",
        "hash mismatch for substituted item `{path}'",
        more=":\n  specified: {expected}\n     got:    {got}",
        traced=False,
    ),
    "substitutes": ReasonRow(_SUBSTITUTES.replace("`", "'").rstrip(), _SUBSTITUTES, traced=False),
    # Notes
    "corrupted": ReasonRow("path '{path}' is corrupted or missing!"),
    "kept": ReasonRow("note: keeping build directory '{path}'"),
    "not-kept": ReasonRow("note: the build directory could not be kept: {text}"),
    "kept-without": ReasonRow(
        "note: without {count} special files, files of other users or too deep directories"
    ),
    "maybe-processes": ReasonRow(
        "note: the builder may have run into the limit of {limit} processes and threads"
        " (setting max-processes)",
        "note: the builder may have run into the limit of {limit} processes and threads",
    ),
    "maybe-file-size": ReasonRow(
        "note: the builder may have run into the limit of {limit} bytes for a file (setting max-file-size)",
        "note: the builder may have run into the limit of {limit} bytes for a file",
    ),
    "disk-full": ReasonRow("note: build failure may have been caused by lack of free disk space"),
}
