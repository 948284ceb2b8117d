"""What became of URLs that did not deliver a file.

Written by the fetcher in its sandbox, read by the daemon, which makes the reason of it.

The file is the build user's, so the daemon takes it for nothing but texts: bounded, made printable,
of a hash only what is one.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence

from fruix.dataclass import asdict, dataclass
from fruix.errors import BadHashError
from fruix.model.hashes import Hash
from fruix.model.text import printable

_LONGEST_FILE = 1 << 18
_LONGEST_TEXT = 1000
# How many of the other URLs a reason names.
_OTHERS = 20


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A URL, why it did not deliver, and the hash of what it delivered instead (SRI, or empty)."""

    url: str
    why: str
    got: str = ""


def write_report(path: str, found: Sequence[Undelivered]) -> None:
    """Write it down; no `path`, no report."""
    if path:
        # What is written is ASCII, but its codec can't be imported in a sandbox's root.
        with open(path, "w", encoding="utf-8") as file:
            json.dump([asdict(one) for one in found], file)


def read_report(path: str) -> list[Undelivered]:
    """What was written there; nothing if there is no such file, or another kind of one."""
    try:
        rows = json.loads(beginning(path, _LONGEST_FILE))
        return [Undelivered(*(_text(row[name]) for name in ("url", "why", "got"))) for row in rows]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def beginning(path: str, size: int) -> bytes:
    """At most `size` bytes of a file that a builder made.

    Empty if it can't be read or is no regular file; links aren't followed, pipes not waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, size) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


def _text(value: object) -> str:
    return printable(str(value)[:_LONGEST_TEXT])


def wrong_contents(found: Sequence[Undelivered], wanted: Hash) -> tuple[str, Hash] | None:
    """The first URL that delivered something else than `wanted`, and its hash."""
    for one in found:
        try:
            got = Hash.parse(one.got, wanted.algorithm) if one.got else wanted
        except BadHashError:
            continue
        if got != wanted:
            return one.url, got
    return None


def others(found: Sequence[Undelivered], told: str) -> str:
    """Lines for all URLs but the one that was told of."""
    rest = [one for one in found if one.url != told]
    lines = [f"\n  {one.url}: {one.why}" for one in rest[:_OTHERS]]
    return "".join([*lines, *([f"\n  … and {len(rest) - _OTHERS} more"] if len(rest) > _OTHERS else [])])
