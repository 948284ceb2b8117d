"""What Fruix says otherwise than nix-daemon on purpose, with the reason (told in docs/clients.md, too)."""

from __future__ import annotations

import difflib
import re

# What is left out of both, or becomes the same, and why.
DIFFERENCES: tuple[tuple[str, str], ...] = (
    # nix-daemon frames only what a builder's own end tells; Fruix frames every failure of a build.
    (r"^error: Cannot build '/frx/store/[^']*'\.\n {7}Reason: ", "error: "),
    (r"^ {7}Output paths:\n( {9}/frx/store/\S*\n)+", ""),
    (r"^ {7}For full logs, run:\n {9}.*\n", ""),
    (r"^ {7}Last \d+ log lines:\n( {7}>.*\n)+", ""),
    # What to do next, in the words of each.
    (r"^ {7}Hint: .*\n", ""),
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
    (r"^[\d.]+ [KM]iB freed by hard-linking", "N freed by hard-linking"),
    # Collisions of profiles: Fruix names the priority and what sets it.
    (r"^created \d+ symlinks in user environment\n", ""),
    (r"^error: Unable to build profile.*\n\n( {9}.*\n){2}", "error: collision\n"),
    (r"^error: collision between .*\n(give one of them another priority.*\n)?", "error: collision\n"),
    # Locks, failed outputs and temporary roots of nix-daemon's own; Fruix's don't lie in the store.
    (r"^(deleting ')?/frx/store/[^'\n]*\.lock'?\n", ""),
    (r"^(deleting ')?/frx/store/\w*-(user-environment|wrong|refers)'?\n", ""),
    (r"^removing stale (link|temporary roots file) .*\n", ""),
    (r"^note: hard linking is currently saving .*\n", ""),
    (r"^\d+ store paths deleted, [\d.]+ \w+ freed", "N deleted"),
    # Times.
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r'"registrationTime":\d+', '"registrationTime":0'),
    (r"^Version: .*", "Version"),
)
_DELETED = re.compile(r"(?:^deleting '.*'\n)+", re.MULTILINE)


def same(text: str) -> list[str]:
    for pattern, replacement in DIFFERENCES:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    # The order of deletions is each daemon's own.
    text = _DELETED.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)
    return text.splitlines()


def compared(nix: str, fruix: str) -> str:
    lines = difflib.unified_diff(same(nix), same(fruix), "nix-daemon", "fruix", lineterm="", n=2)
    return "\n".join(lines)
