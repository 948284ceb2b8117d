"""Rows that can't be measured: their places in the table stay empty, and the others are measured."""

from __future__ import annotations


class Unavailable(Exception):  # noqa: N818 - no error: the row stays empty
    """A row can't be measured here: what it lacks."""


class Paths(dict[str, str]):
    """What rows leave for later rows, by a word."""

    def __missing__(self, key: str) -> str:
        raise Unavailable(f"it asks for what an earlier row leaves ('{key}'): have that one measured too")
