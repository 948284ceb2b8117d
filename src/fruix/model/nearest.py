"""Hints for a misspelt word: the known words that look most like it.

Takes time in proportion to the known words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def similar(word: str, known: Iterable[str]) -> Sequence[str]:
    """At most three, the most similar first."""
    import difflib  # noqa: PLC0415 - seldom needed

    return difflib.get_close_matches(word, sorted(known), n=3)


def did_you_mean(words: Iterable[str]) -> str:
    """A question, or nothing without words."""
    text = " or ".join(f"'{word}'" for word in words)
    return f"did you mean {text}?" if text else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The question for the similar ones; if there are none, all that are known."""
    known = sorted(known)
    return did_you_mean(similar(word, known)) or f"there are: {', '.join(known)}"
