"""What Fruix says otherwise than nix-daemon on purpose, with the reason (told in docs/clients.md, too)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

# What is left out of both, or becomes the same, and why.
DIFFERENCES: tuple[tuple[str, str], ...] = (
    # nix-daemon frames only what a builder's own end tells; Fruix frames every failure of a build.
    (r"^error: Cannot build '/frx/store/[^']*'\.\n {7}Reason: ", "error: "),
    (r"^ {7}Output paths:\n( {9}/frx/store/\S*\n)+", ""),
    (r"^ {7}For full logs, run:\n {9}.*\n", ""),
    (r"^ {7}Last \d+ log lines:\n( {7}>.*\n)+", ""),
    # What to do next, in the words of each.
    (r"^ {7}Hint: .*\n", ""),
    (r"(timed out after \d+ seconds)( of silence)?\.?$", r"\1"),
    (r"^error: (building derivation '\S+' )?(killed after writing .*?)\.?$", r"error: \2"),
    # How many lines came before it was.
    (r"^(12345678901234567890\n)+", ""),
    # A hook's lines are the build's; what a client wasn't told of is none of its affairs.
    (r"^post-build-hook: ", ""),
    (r"^warning: unknown setting .*\n", ""),
    # Who may not connect is told so.
    (
        r"^error: cannot open connection to remote store 'daemon': .*\n( {14}the daemon's setting .*\n)?",
        "error: cannot open connection\n",
    ),
    (r"^Run `man nix\.conf` for more information .*\n", ""),
    (r"(not allowed when 'sandbox' is 'true')\.$", r"\1"),
    (r"^\n(error: hash mismatch)", r"\1"),
    # What is given up, since something else of the same request failed, is told.
    (r"^error: not built, since '\S+' failed\n", ""),
    # Where a failed build's directory lies.
    (r"^note: keeping build directory .*", "note: keeping build directory"),
    # What prefers to be built here is, though no jobs are allowed, as in Guix.
    (
        r"(-A near --max-jobs 0\n)this derivation .*:\n.*\n(?s:.*?)(\$ .* -A near\n)(?s:.*?)status 0\n",
        r"\1\2",
    ),
    # Ways by which something is referred to, and sizes of what makes a closure too large, are told.
    (r"^ {11}by way of .*\n", ""),
    (r"^ {15} *\d+  /frx/store/\S+\n", ""),
    # A repair is shown as the build that it is; nix-daemon shows that it looks.
    (r"^checking path '/frx/store/.*'\.\.\.\n", ""),
    (r"^repairing outputs of '.*'\.\.\.\n(low\n)?", ""),
    (r"^error: '.*' is no hash part of a store path\n.*\n", "error: invalid hash part\n"),
    # The first dependency that failed is named.
    (r"(dependency|dependencies) failed( \('.*'\))?\.", r"\1 failed."),
    (r"(max-jobs = 0\))\.", r"\1"),
    # Where the sandbox had it; quotes of file names.
    (
        r"builder (for '\S*' )?failed to produce output path for output 'out' at .*",
        "builder failed to produce",
    ),
    (r"(output )[\"'](/frx/store/[^\"']*)[\"'] differs\.?$", r"\1\2 differs"),
    # Where two results differ is told at once.
    (r"^ {9}\.: .* bytes differ, .*\n", ""),
    # Machines offer other features; that ca-derivations is on isn't one.
    (r"Available features: .*", "Available features"),
    # What an unresolved derivation became is told by its build; a dry run knows that nothing
    # is left to be built.
    (r"^resolved derivation: .*\n", ""),
    (r"^this derivation will be built:\n  /frx/store/\S*-upon\.drv\n(?!building)", ""),
    # Hashes of archives are told in base 16.
    (r"was modified! expected hash .*", "was modified!"),
    # What was made writable by hand is linked, too, and counted otherwise.
    (r"^warning: skipping suspicious writable file .*\n", ""),
    (r"^[\d.]+ [KM]iB freed by hard-linking \d+ files", "N freed by hard-linking"),
    # Collisions of profiles: Fruix names the priority and what sets it.
    (r"^created \d+ symlinks in user environment\n", ""),
    (r"^error: Unable to build profile.*\n\n( {9}.*\n){2}", "error: collision\n"),
    (r"^error: collision between .*\n(give one of them another priority.*\n)?", "error: collision\n"),
    # Locks, failed outputs and temporary roots of nix-daemon's own; Fruix's don't lie in the store.
    (r"^(deleting ')?/frx/store/[^'\n]*\.lock'?\n", ""),
    (
        r"^(deleting ')?/frx/store/\w*-(user-environment|wrong|refers|hashed|circle|far|needy|big)'?\n",
        "",
    ),
    (r"^removing stale (link|temporary roots file) .*\n", ""),
    (r"^note: hard linking is currently saving .*\n", ""),
    (r"^\d+ store paths deleted, [\d.]+ \w+ freed", "N deleted"),
    (r"^\d+ store paths would be deleted", "N would be deleted"),
    # Times.
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r'"registrationTime":\d+', '"registrationTime":0'),
    (r"^Version: .*", "Version"),
)
# The same of older clients with their own daemons, whose words were others; after those of all.
OLDER: Mapping[str, tuple[tuple[str, str], ...]] = {
    "2.8": (
        (
            r"^error: builder for '\S+' failed with exit code (\d+)(;\n {7}last (.*\n)+?.*run .*)?$",
            r"error: builder failed with exit code \1.",
        ),
        (
            r"^error: \d+ dependenc(ies|y)( of derivation '\S+')? failed( to build|\.)$",
            "error: dependencies failed",
        ),
        (r"^error: building of '\S+' from \.drv file timed out", "error: timed out"),
        (r"^error: a '(.*)' with features (\{.*\}) is required to build .*", r"error: no machine"),
        (r"^error: (missing system features|platform mismatch)\n.*\n.*", "error: no machine"),
        (r"^error: unable to start any build;.*\n.*", "error: local builds are disabled (max-jobs = 0)"),
        (r"^error: packages '.*' have the same priority .*", "error: collision"),
        (r"^note: currently hard linking saves .*\n", ""),
        (r"( since it is still alive\. To find out why, use: nix-store --query --roots).*", r"\1"),
        (
            r"^error: (build of '\S+' failed|path '.*' is required, but there is no substituter .*)$",
            "error: nobody has it",
        ),
        # Of the end of what a client breaks off.
        (r"^error \(ignored\): error: .*", "error (ignored)"),
    ),
}
_UNORDERED = re.compile(
    r"(?:^deleting '.*'\n)+|(?:^warning: ignoring .*\n)+|(?:^copying path '.*'.*\n)+", re.MULTILINE
)


def same(text: str, client: str) -> list[str]:
    for pattern, replacement in (*DIFFERENCES, *OLDER.get(client, ())):
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    # The order of deletions and of warnings is each daemon's own; a client's threads copy side by side.
    text = _UNORDERED.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)
    return text.splitlines()


def compared(nix: str, fruix: str, client: str) -> str:
    lines = difflib.unified_diff(
        same(nix, client), same(fruix, client), "nix-daemon", "fruix", lineterm="", n=2
    )
    return "\n".join(lines)
