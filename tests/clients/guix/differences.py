"""What Fruix says otherwise than guix-daemon on purpose, with the reason (told in docs/clients.md, too)."""

from __future__ import annotations

import difflib
import re

# What is left out of both, or becomes the same, and why.
DIFFERENCES: tuple[tuple[str, str], ...] = (
    # What `guix substitute` says on the way, and how far it is; Fruix asks servers itself.
    (r"^(substitute: )?guix substitute: warning: ACL .*\n", ""),
    (r"^substitute: .*\n(\r?\x1b\[Klooking for .*\n)?", ""),
    (r"^[Dd]ownloading (from )?(file:)?/?\S*(/\S*)? ?\.\.\.\n(\r?(\x1b.*)?\n|\.+\n)*", ""),
    # Kept directories are each user's own, below the state; "build" is "top" with guix-daemon.
    (r"keeping build directory `.*'", "keeping build directory `DIR'"),
    # What came over the network how fast.
    (r"^\r?\x1b\[K \S+ +[\d.]+\w+/s .* transferred", ""),
    # Numbers of processes, times.
    (r"(\.drv(\.check)?\.(gz|bz2)) \d+$", r"\1 PID"),
    (r"@ build-log \d+ ", "@ build-log PID "),
    # A check has a log of its own, so that the build's is not overwritten; logs are packed so that Nix's
    # clients read them, too.
    (r"\.drv(\.check)?\.bz2", ".drv.gz"),
    # Placeholders of guix-daemon 1.5.0 that nothing was put into.
    (r"path `(%1%|/frx/store/[^']*)' is not valid", "path is not valid"),
    (r"timed out after (%2%|\d+) seconds$", "timed out after N seconds"),
    # Files of guix-daemon's own in the store: its locks, and a directory through which garbage goes.
    (r'"/frx/store/[^"]*\.lock" ?', ""),
    (r"^(\[[^]]*\] )?deleting ['`]/frx/store/(trash|[^']*\.lock)'\n", ""),
    (r"^removing stale temporary roots file .*\n", ""),
    (r"^/frx/store/[^/\n]*\.lock\n", ""),
    # Fruix's link to the profiles is a relative one.
    (r"/gcroots/\.\./profiles", "/profiles"),
    # What a failed dependency fails is told with the whole request's error only.
    (r"^cannot build derivation `.*': \d+ dependencies couldn't be built\n", ""),
    # guix-daemon draws builds as a tree from verbosity 1 on.
    (r"^\|   @", "@"),
    # What a deletion frees and saves: Fruix deduplicates other files, and deletes in another order.
    (r"^note: currently hard linking saves .*\n", ""),
    (r"^(\[[ \d.%]*(bytes|KiB|MiB)?\] )?deleting '/frx/store/.*'\n", ""),
    (r"freed [\d.]+ \w+", "freed N"),
    # What others on the machine leave free.
    (r"already [\d.]+ \w+ available", "already N available"),
)


def same(text: str) -> list[str]:
    for pattern, replacement in DIFFERENCES:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text.splitlines()


def compared(guix: str, fruix: str) -> str:
    lines = difflib.unified_diff(same(guix), same(fruix), "guix-daemon", "fruix", lineterm="", n=2)
    return "\n".join(lines)
