"""Data of Scheme programs, as Guix's derivations hold them: read, never evaluated.

Understood are lists, strings and symbols, which is all that lists of URLs and of mirrors consist
of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from fruix.late import late_pattern

# Guile's escapes: \\xHH, \\uHHHH, \\UHHHHHH, or one character.
_ESCAPE = late_pattern(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{6})|(.))", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_TOKEN = late_pattern(
    r'(?P<string>"((?:[^"\\]|\\.)*)")|(?P<mark>[()])|;[^\n]*|(?P<symbol>[^\s()";]+)', re.DOTALL
)


def strings(text: str) -> list[str]:
    """All strings in it, in order, however they are nested."""
    return [_unescaped(token[2]) for token in _TOKEN.finditer(text) if token["string"]]


def named_lists(text: str) -> dict[str, tuple[str, ...]]:
    """Of `((gnu "https://…" …) …)` each inner list's strings by the symbol at its beginning.

    Anything else is passed over.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, values in _inner_lists(text):
        if name:
            found.setdefault(name, tuple(values))
    return found


def _inner_lists(text: str) -> Iterator[tuple[str, list[str]]]:
    """Of each list inside a list: the symbol that it begins with, and its strings."""
    depth, name, empty = 0, "", True
    values: list[str] = []
    for token in _TOKEN.finditer(text):
        if token["mark"] == "(":
            depth, name, values, empty = depth + 1, "", [], True
        elif token["mark"] == ")":
            if depth == 2:
                yield name, values
            depth, name, values = depth - 1, "", []
        elif token["string"]:
            values, empty = [*values, _unescaped(token[2])], False
        elif token["symbol"] and empty:
            name, empty = token["symbol"], False


def _unescaped(text: str) -> str:
    """A Scheme string's characters, as Guile writes them.

    What is no escape of its stays as it is.
    """

    def character(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        if digits is None:
            return _ESCAPES.get(match[4], match[4])
        number = int(digits, 16)
        return chr(number) if number <= sys.maxunicode else match[0]

    return _ESCAPE.sub(character, text)
