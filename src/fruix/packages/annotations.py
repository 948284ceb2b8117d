"""What annotations of definitions may say beside a type, and how messages call what they want.

See `fruix.packages.check`, which reads values by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, get_args, get_origin

from fruix.dataclass import dataclass
from fruix.model.nearest import nearest
from fruix.packages.wording import shown

MAPPING, CALLABLE = get_origin(Mapping[str, str]), get_origin(Callable[[], None])


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold beside the type.

    `wanted` and `many` say it in words, of one value and of several; the hint may depend on the
    value.
    """

    wanted: str
    holds: Callable[[Any], bool]
    many: str = ""
    hint: str | Callable[[Any], str] = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Values of other types that stand for one of this type.

    `read` gives it, or raises `ValueError` with a hint (or none).
    """

    wanted: str
    read: Callable[[Any], Any]
    many: str = ""


def one_of(names: Iterable[str], what: str) -> Rule:
    """A rule for words of a fixed list; the hint for another word names the nearest of them."""
    known = frozenset(names)
    return Rule(what, known.__contains__, hint=lambda word: nearest(word, known))


# What a type is called, one value and several.
_CALLED: Mapping[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    bool: ("True or False", "truth values"),
    int: ("a whole number", "whole numbers"),
    type(None): ("None", "None"),
}
_VOWELS = tuple("AEIOU")


def described(wanted: Any, *, many: bool = False) -> str:
    """A type in words, of one value or of several."""
    if get_origin(wanted) is Annotated:
        kind, *notes = get_args(wanted)
        named = [note for note in notes if isinstance(note, Rule | Form)][-1]
        return (named.many if many else named.wanted) or described(kind, many=many)
    if get_origin(wanted) is not None:
        return _describe_form(get_origin(wanted), get_args(wanted), many=many)
    if wanted in _CALLED:
        return _CALLED[wanted][many]
    name = wanted.__name__
    return f"{name}s" if many else f"{'an' if name.startswith(_VOWELS) else 'a'} {name}"


def _describe_form(form: Any, items: tuple[Any, ...], *, many: bool) -> str:
    if form is tuple:
        words = ("a list", "lists") if items[-1] is Ellipsis else ("a pair", "pairs")
        return f"{words[many]} of {described(items[0], many=True)}"
    if form is MAPPING:
        plain = "dictionaries" if many else "a dictionary"
        return plain if items[1] is Any else f"{plain} of {described(items[1], many=True)}"
    if form is CALLABLE:
        return "functions" if many else "a function"
    return " or ".join(described(item, many=many) for item in items)


# (what is wanted, what is there instead, hint); `{}` stands for the value.
_INSTEAD: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    ("str", bool, ""),
    ("str", int, "write it in quotes"),
    ("str", float, 'write it in quotes: a number loses zeros at its end ("1.10" is not 1.1)'),
    ("bool", str, "without quotes"),
    ("tuple", str, "put it into brackets: [{}]"),
    ("Mapping", (list, tuple, str), 'such as {{"name": "value"}}'),
    ("Package", str, "find({}) gives the package of that name"),
    (
        "Origin",
        str,
        (
            'source=Origin(urls=["https://…"], sha256="…") fetches a file, '
            "source=Local({}) takes files from beside the definition"
        ),
    ),
)


def hint_for(wanted: str, value: Any) -> str:
    """What to do about a value that is no `wanted`; empty if that is not known."""
    for name, kinds, text in _INSTEAD:
        if name == wanted and isinstance(value, kinds):
            return text.format(shown(value))
    return ""
