"""What differs between two texts or lists, as lines with a sign.

`-` (old), `+` (new), a blank (both), `@@` (place).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruix.late import late_pattern

_CONTEXT = 2  # lines around a changed one
_FUNCTION = late_pattern(r"([\w-]+)\(\) *\{")
_HUNK = late_pattern(r"@@ -(\d+)")


def changed_items(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Only those that came or went."""
    import difflib  # noqa: PLC0415 - seldom needed

    changed = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    return (line for line in changed if not line.startswith("@@"))


def changed_lines(old: str, new: str) -> Iterator[str]:
    """Hunks as `diff -u` has them; each names its line and the shell function that it is in.

    Line ends count, but aren't shown.
    """
    import difflib  # noqa: PLC0415 - seldom needed

    before = old.splitlines(keepends=True)
    for line in list(difflib.unified_diff(before, new.splitlines(keepends=True), n=_CONTEXT))[2:]:
        yield _place(line, before) if line.startswith("@@") else line.rstrip("\r\n")


def _place(hunk: str, lines: Sequence[str]) -> str:
    match = _HUNK.match(hunk)
    number = int(match[1]) if match else 1
    functions = [found[1] for line in lines[: number + _CONTEXT] if (found := _FUNCTION.match(line))]
    return f"@@ line {number}{f' ({functions[-1]})' if functions else ''}"
