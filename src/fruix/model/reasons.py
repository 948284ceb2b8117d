"""Why a build went as it did, as plain data, and the texts that people read in each world.

A reason is a flat mapping (so it can cross any wire as JSON): its `kind` is a row of `TEXTS`, its other values fill the row's
texts. Each row has two: one of ours (which clients of the Nix dialect get too) and one in the words of the Guix dialect, where programs
read them. `{drv}` is always there.
"""

from __future__ import annotations

from collections.abc import Mapping

from fruix.model.storepath import StorePath

Reason = Mapping[str, str | int]

OTHER = "other"

# kind → (ours, Guix)
TEXTS: Mapping[str, tuple[str, str]] = {
    OTHER: ("{text}", "{text}"),
    "exit-code": ("builder failed with exit code {code}", "builder for `{drv}' failed with exit code {code}"),
    "signal": (
        "builder failed due to signal {signal} ({name})",
        "builder for `{drv}' failed due to signal {signal} ({name})",
    ),
    "cancelled": (
        "cancelled, since nobody waits for it any more",
        "building of `{drv}' cancelled, since nobody waits for it any more",
    ),
    # Limits
    "timeout": ("timed out after {limit} seconds", "building of `{drv}' timed out after {limit} seconds"),
    "silence": (
        "timed out after {limit} seconds of silence",
        "building of `{drv}' timed out after {limit} seconds of silence",
    ),
    "log-limit": (
        "killed after writing more than {limit} bytes of log output",
        "building of `{drv}' killed after writing more than {limit} bytes of log output",
    ),
    "processes": (
        "killed when it had more than {limit} processes and threads (setting max-processes)",
        "building of `{drv}' killed when it had more than {limit} processes and threads",
    ),
    "memory": (
        "killed for using more than {limit} bytes of memory (setting max-memory)",
        "building of `{drv}' killed for using more than {limit} bytes of memory",
    ),
    "out-of-memory": (
        "killed by the kernel, since the machine is out of memory",
        "building of `{drv}' killed by the kernel, since the machine is out of memory",
    ),
    "disk": (
        "killed because less than {limit} bytes were left on the disk of '{path}' (setting min-free)",
        "building of `{drv}' killed because less than {limit} bytes were left on the disk of `{path}'",
    ),
    "inodes": (
        "killed because less than {limit} files could still be made on the disk of '{path}' (setting min-free-files)",
        "building of `{drv}' killed because less than {limit} files could still be made on the disk of `{path}'",
    ),
    "files": (
        "its outputs hold more than {limit} files and directories (setting max-output-files)",
        "outputs of `{drv}' hold more than {limit} files and directories",
    ),
    "contents": (
        "its outputs claim to hold more than {limit} bytes of contents (setting max-output-size)",
        "outputs of `{drv}' claim to hold more than {limit} bytes of contents",
    ),
    "view-changed": (
        "host view '{view}' was changed while it was built: {what}",
        "host view `{view}' was changed while `{drv}' was built: {what}",
    ),
    "view-differs": ("{text}", "{text}"),
    # Outputs
    "no-output": (
        "builder failed to produce output path for output '{output}' at '{path}'",
        "builder for `{drv}' failed to produce output path `{path}'",
    ),
    "suspicious": (
        "suspicious ownership or permission on '{path}'; rejecting this build output",
        "suspicious ownership or permission on `{path}'; rejecting this build output",
    ),
    "hash-mismatch": (
        "hash mismatch in fixed-output derivation '{drv}':{likely}\n  specified: {expected}\n     got:    {got}",
        "hash mismatch for store item '{path}'",
    ),
    "download": (
        "unable to download '{url}': {text}{others}",
        "builder for `{drv}' failed to download `{url}': {text}{others}",
    ),
    "cycle": (
        "cycle detected in build of '{drv}' in the references of output '{output}' from output '{other}'{found}",
        "cycle detected in the references of `{path}'{found}",
    ),
    "not-allowed": (
        "output '{path}' is not allowed to refer to the following paths:{all}",
        "output (`{path}') is not allowed to refer to path `{first}'{found}",
    ),
    "too-large": (
        "path '{path}' is too large at {size} bytes; limit is {limit} bytes",
        "path `{path}' is too large at {size} bytes; limit is {limit} bytes",
    ),
    "closure-too-large": (
        "closure of path '{path}' is too large at {size} bytes; limit is {limit} bytes{found}",
        "closure of path `{path}' is too large at {size} bytes; limit is {limit} bytes{found}",
    ),
    "fixed-references": (
        "fixed-output derivations must not reference store paths: '{drv}' references {count} distinct paths, e.g. '{path}'{found}",
        "fixed-output derivations must not reference store paths: `{drv}' references {count} distinct paths, e.g. `{path}'{found}",
    ),
    "input-gone": (
        "input '{path}' is registered, but its files are gone",
        "input `{path}' is registered, but its files are gone",
    ),
    # Building again
    "check-differs": (
        "derivation '{drv}' may not be deterministic: output '{path}' differs",
        "derivation `{drv}' may not be deterministic: output `{path}' differs",
    ),
    "check-differs-kept": (
        "derivation '{drv}' may not be deterministic: output '{path}' differs from '{kept}'",
        "derivation `{drv}' may not be deterministic: output `{path}' differs from `{kept}'",
    ),
    "round-differs": (
        "output '{path}' of '{drv}' differs from previous round",
        "output `{path}' of `{drv}' differs from previous round",
    ),
    "round-differs-kept": (
        "output '{path}' of '{drv}' differs from '{kept}' from previous round",
        "output `{path}' of `{drv}' differs from `{kept}' from previous round",
    ),
    "missing-outputs": (
        "some outputs of '{drv}' are not valid, so checking is not possible",
        "{drv} is missing outputs; build it normally before using `--check'",
    ),
    # What a derivation declares and can't have
    "bad-rule": (
        (
            "output check for '{output}' contains output name '{word}', but this is not a valid output of this derivation"
            " (valid outputs are: {valid})"
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
    "features": (
        "missing system features\nRequired features: {{{wanted}}}\nAvailable features: {{{here}}}",
        "missing system features: {wanted}",
    ),
    "too-much": (
        "its arguments and variables are more than the system can give to a program",
        "arguments and variables of `{drv}' are more than the system can give to a program",
    ),
    "no-sandbox": ("it has '__noChroot' set, but there are no builds without a sandbox",) * 2,
    "host-path": ("it requests the impure path '{path}', but none is allowed",) * 2,
    # Before anything is built
    "cached": (
        "the build of '{path}' failed previously (cached)",
        "builder for `{path}' failed previously (cached)",
    ),
    "dependencies": (
        "{count} {noun} failed ('{first}')",
        "cannot build derivation `{drv}': {count} dependencies couldn't be built",
    ),
    "missing-derivation": (
        "cannot build missing derivation '{drv}'",
        "cannot build missing derivation `{drv}'",
    ),
    "no-slots": (
        "unable to start any build; increase '--max-jobs'",
        "unable to start any build; either increase `--max-jobs' or enable distributed builds",
    ),
    "irreparable": (
        "path '{path}' is corrupted or missing, and nothing on this machine can make it again",
        "path `{path}' is corrupted or missing, and nothing on this machine can make it again",
    ),
    # Notes
    "corrupted": ("path '{path}' is corrupted or missing!", "path `{path}' is corrupted or missing!"),
    "kept": ("note: keeping build directory '{path}'", "note: keeping build directory `{path}'"),
    "not-kept": ("note: the build directory could not be kept: {text}",) * 2,
    "kept-without": (
        "note: without {count} special files, files of other users or too deep directories",
        "note: without {count} special files, files of other users or too deep directories",
    ),
    "maybe-processes": (
        "note: the builder may have run into the limit of {limit} processes and threads (setting max-processes)",
        "note: the builder may have run into the limit of {limit} processes and threads",
    ),
    "maybe-file-size": (
        "note: the builder may have run into the limit of {limit} bytes for a file (setting max-file-size)",
        "note: the builder may have run into the limit of {limit} bytes for a file",
    ),
    "disk-full": ("note: build failure may have been caused by lack of free disk space",) * 2,
}


def reason(kind: str, **values: str | int) -> Reason:
    """A reason of one of the kinds."""
    return {"kind": kind, **values}


def text_of(why: Reason, drv: StorePath, *, guix: bool = False) -> str:
    """The text for people; of a reason that this version doesn't know, what it says itself."""
    ours, theirs = TEXTS.get(str(why.get("kind")), TEXTS[OTHER])
    values = {"text": "", "likely": "", **why, "drv": str(drv)}
    try:
        return (theirs if guix else ours).format_map(values)
    except KeyError:
        return str(values["text"])
