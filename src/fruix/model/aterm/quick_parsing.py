"""Reading usual derivations: all strings by one split, what stands between them by one pattern.

It reads what `parsing` reads, in a third of the time, or gives up: a file of another form, in
another order or with a path that is none is read again there, which finds where it goes wrong.
"""

from __future__ import annotations

import re

from fruix.errors import BadHashError, BadStorePathError, FormatError
from fruix.late import late_pattern
from fruix.model.aterm.grammar import MAX_ITEMS
from fruix.model.contentaddress import parse_output_method
from fruix.model.derivation import IMPURE, Derivation, DerivationOutput
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath, check_name
from fruix.model.text import to_bytes, to_text

# In patterns of what stands between strings a quote stands for a whole one.
_OUTPUT, _VARIABLE = '(",",",")', '(",")'
_STRINGS = '(?:"(?:,")*+)?+'


def _several(item: str) -> str:
    return f"((?:{item}(?:,{item})*+)?+)"


_INPUT = rf'\(",\[{_STRINGS}\]\)'
_FORM = late_pattern(
    rf"Derive\(\[{_several(re.escape(_OUTPUT))}\],\[{_several(_INPUT)}\]"
    rf',\[({_STRINGS})\],",",\[({_STRINGS})\],\[{_several(re.escape(_VARIABLE))}\]\)'
)


def parse_usual(data: bytes, name: str, directory: str) -> Derivation | None:
    """Read a derivation without NUL, or return None; see `parsing.parse`."""
    # Escaped quotes and backslashes are put out of the way: quotes part strings then.
    parts = to_text(data).replace("\\\\", "\0b").replace('\\"', "\0q").split('"')
    form = _FORM.fullmatch('"'.join(parts[::2])) if len(parts) % 2 else None
    if form is None:
        return None
    strings = _Strings([_unescaped(part) if "\\" in part or "\0" in part else part for part in parts[1::2]])
    try:
        return _derivation(form, strings, name, directory)
    except (_UnusualError, BadStorePathError, BadHashError, FormatError):
        return None


class _UnusualError(Exception):
    """Something is out of order, or there is too much of it."""


class _Strings:
    """All strings, taken from the first to the last."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._at = 0

    def take(self, count: int) -> list[str]:
        """The next ones."""
        start, self._at = self._at, self._at + count
        return self._texts[start : self._at]

    def listed(self, items: str, size: int, each: int = 1) -> list[str]:
        """Those of a list.

        Args:
            items: its form.
            size: of the form of an item, with a comma.
            each: how many strings an item has.
        """
        count = (len(items) + 1) // size
        if count > MAX_ITEMS:
            raise _UnusualError
        return self.take(count * each)


def _derivation(form: re.Match[str], strings: _Strings, name: str, directory: str) -> Derivation:
    rows = strings.listed(form[1], len(_OUTPUT) + 1, 4)
    outputs = dict(
        map(_output, rows[::4], rows[1::4], rows[2::4], rows[3::4], [directory] * (len(rows) // 4))
    )
    _check_order(rows[::4])
    inputs = _inputs(form[2], strings, directory)
    sources = [StorePath.parse(text, directory) for text in strings.listed(form[3], 2)]
    _check_order([path.text for path in sources])
    system, builder = strings.take(2)
    arguments = strings.listed(form[4], 2)
    variables = strings.listed(form[5], len(_VARIABLE) + 1, 2)
    _check_order(variables[::2])
    env = dict(zip(variables[::2], variables[1::2], strict=True))
    return Derivation(name, outputs, inputs, tuple(sources), system, builder, tuple(arguments), env)


def _output(name: str, path: str, method: str, digest: str, directory: str) -> tuple[str, DerivationOutput]:
    check_name(name)
    if digest == IMPURE:
        parse_output_method(method)
    elif digest:
        Hash.parse(digest, parse_output_method(method)[1])
    return name, DerivationOutput(StorePath.parse(path, directory) if path else None, method, digest)


def _inputs(form: str, strings: _Strings, directory: str) -> dict[StorePath, tuple[str, ...]]:
    found: dict[StorePath, tuple[str, ...]] = {}
    items = form.split("),(") if form else []
    if len(items) > MAX_ITEMS:
        raise _UnusualError
    for item in items:
        text, *names = strings.take(item.count('"'))
        if len(names) > 1:
            if len(names) > MAX_ITEMS:
                raise _UnusualError
            _check_order(names)
        found[StorePath.parse(text, directory)] = tuple(names)
    _check_order([path.text for path in found])
    if len(found) != len(items):
        raise _UnusualError
    return found


def _check_order(keys: list[str]) -> None:
    """Refuse keys that don't ascend, by their bytes."""
    key = None if "".join(keys).isascii() else to_bytes
    if sorted(set(keys), key=key) != keys:
        raise _UnusualError


def _unescaped(text: str) -> str:
    text = text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t").replace("\\", "")
    return text.replace("\0q", '"').replace("\0b", "\\")
