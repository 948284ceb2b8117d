"""Words for messages about definitions: values and exceptions of the user's in one short line."""

from __future__ import annotations

import reprlib
import types

_SHOWN_SIZE, _MESSAGE_SIZE = 80, 300  # characters
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


class _Shown(reprlib.Repr):
    """Shows at most three items of a list, two levels deep, and 60 characters of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 3
        self.maxstring = self.maxother = self.maxlong = 60

    def repr_function(self, value: types.FunctionType, _level: int) -> str:
        return f"the function '{value.__name__}'"


_SHOW = _Shown()


def shown(value: object) -> str:
    """A value for a message: one line, cut. Costs little, however big the value is."""
    text = _SHOW.repr(value).translate(_CONTROL)
    return text if len(text) <= _SHOWN_SIZE else f"{text[: _SHOWN_SIZE - 1]}…"


def in_a_line(error: BaseException) -> str:
    """What an exception says, with its type: one line, cut, as it may say anything."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _MESSAGE_SIZE else f"{text[: _MESSAGE_SIZE - 1]}…"
