"""Structured attributes.

A derivation whose attributes are one JSON object instead of environment variables.

The object is the text of the variable `__json`. Its builder finds it again in two files, as JSON
and as Bash declarations (names that Bash can't have, and values nested deeper than a list or a
table of plain values, are in the JSON alone). Forms: docs/derivations.md.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from fruix.errors import BadDerivationError
from fruix.late import late_import, late_pattern
from fruix.model.text import to_bytes

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")

VARIABLE = "__json"
JSON_FILE, SHELL_FILE = ".attrs.json", ".attrs.sh"

_SHELL_NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
# Values and keys that an object may have: Python keeps each in some hundred bytes.
MOST_VALUES = 1 << 18
_MARKS = "[{,:"
_PART = late_pattern(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{,:]', re.DOTALL)
_BIGGEST_INTEGER = (1 << 63) - 1


def parse(text: str) -> Mapping[str, Any]:
    """The object in a derivation's `__json`.

    Raises:
        BadDerivationError: not JSON, nested too deep, more than `MOST_VALUES` values, or something
            else than an object.
    """
    if _has_many_values(text):
        raise BadDerivationError(f"'{VARIABLE}' holds more than {MOST_VALUES} values")
    try:
        value = json.loads(text, parse_constant=_refuse)
        # What can't be written again (half a surrogate pair, an infinite number) is refused here,
        # not in the middle of a build.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise BadDerivationError(f"'{VARIABLE}' is not JSON: {reason}") from error
    if not isinstance(value, dict):
        raise BadDerivationError(f"'{VARIABLE}' must be a JSON object, not {kind(value)}")
    return value


def _has_many_values(text: str) -> bool:
    if sum(map(text.count, _MARKS)) <= MOST_VALUES:
        return False
    marks = (
        match for match in _PART.finditer(text) if text[match.start()] in _MARKS
    )  # not those within texts
    return next(itertools.islice(marks, MOST_VALUES, None), None) is not None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def kind(value: object) -> str:
    """How JSON calls a value's type, for messages."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def to_json(attributes: Mapping[str, Any]) -> bytes:
    """The JSON file: keys sorted, no white space, no final newline."""
    text = json.dumps(attributes, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return to_bytes(text)


def to_shell(attributes: Mapping[str, Any]) -> bytes:
    """The Bash file: one `declare` for each attribute that Bash can hold, sorted by name."""
    lines = (_declaration(name, attributes[name]) for name in sorted(attributes))
    return to_bytes("".join(lines))


def _declaration(name: str, value: Any) -> str:
    if not _SHELL_NAME.fullmatch(name):
        return ""
    if isinstance(value, dict):
        pairs = [(quoted(key), _plain(value[key])) for key in sorted(value)]
        return _compound(name, "-A", [(f"[{key}]=", item) for key, item in pairs])
    if isinstance(value, list):
        return _compound(name, "-a", [("", _plain(item)) for item in value])
    plain = _plain(value)
    return "" if plain is None else f"declare {name}={plain}\n"


def _compound(name: str, option: str, items: list[tuple[str, str | None]]) -> str:
    if any(item is None for _, item in items):
        return ""
    return f"declare {option} {name}=({''.join(f'{key}{item} ' for key, item in items)})\n"


def _plain(value: Any) -> str | None:
    """A value without parts as Bash text, or None if it is none that Bash can hold."""
    if value is None:
        return "''"
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float) and abs(value) <= _BIGGEST_INTEGER and value == int(value):
        return str(int(value))
    return None


def quoted(text: str) -> str:
    """A text as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
