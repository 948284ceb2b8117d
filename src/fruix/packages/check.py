r"""Values of definitions are checked by the annotations of the record that holds them.

The annotations are the table of what is allowed:

| annotation | takes |
|---|---|
| `str`, `bool`, `int`, a class | an instance (a truth value is no number); texts in UTF-8 without NUL |
| `tuple[X, ...]` | a list or tuple of X; kept as a tuple |
| `tuple[X, Y]` | two items |
| `Mapping[K, V]` | a mapping; kept as a dictionary of its own |
| `Callable[…]` | whatever can be called |
| `X \| Y` | either |
| `Annotated[X, Rule(…), …]` | X for which every rule holds |
| `Annotated[X, Form(…)]` | what the form turns into an X |

What doesn't fit is a `UsageError`, "field 'X' should be …, not …", with a hint. Cost: linear in
what a field holds; values are shown cut.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fruix.dataclass import dataclass, fields
from fruix.errors import UsageError
from fruix.model.nearest import nearest
from fruix.packages.wording import shown

T = TypeVar("T")
_MAPPING, _CALLABLE = get_origin(Mapping[str, str]), get_origin(Callable[[], None])


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


def read(value: Any, wanted: Any, subject: str) -> Any:
    """A value by its annotation; `subject` names it in messages.

    Raises:
        UsageError: it does not fit.
    """
    try:
        return _read(value, wanted)
    except _WrongError as error:
        raise wrong(f"{''.join(error.steps)}{subject}", error.wanted, error.value, error.hint) from None


def read_fields(record: Any) -> None:
    """Read every field of a frozen dataclass, in place.

    Raises:
        UsageError: a field holds something else than its annotation says.
    """
    kind: Any = type(record)
    hints = _hints(kind)
    for item in fields(record):
        if item.init:
            value = read(getattr(record, item.name), hints[item.name], f"field '{item.name}'")
            object.__setattr__(record, item.name, value)


def make(kind: Callable[..., T], values: Mapping[str, Any], *, noun: str, owner: str) -> T:
    """A record of this kind from values by name, such as a build system's arguments.

    Args:
        kind: a dataclass; all its fields have defaults.
        values: some of its fields.
        noun: what a field is called in messages.
        owner: who has the fields, in messages.

    Raises:
        UsageError: an unknown name, or a value that does not fit.
    """
    hints = _hints(kind)
    check_names(values, hints, f"{owner} has no {noun}")
    return kind(**{name: read(value, hints[name], f"{noun} '{name}'") for name, value in values.items()})


def check_names(names: Iterable[str], known: Iterable[str], complaint: str) -> None:
    """Refuse names, such as those of fields, that are not known.

    Raises:
        UsageError: the first of them, with the nearest known ones.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"{complaint} '{name}'", hint=nearest(name, known))


def wrong(subject: str, wanted: str, value: Any, hint: str = "") -> UsageError:
    """The error "SUBJECT should be WANTED, not VALUE"; the value is cut."""
    return UsageError(f"{subject} should be {wanted}, not {shown(value)}", hint=hint)


class _WrongError(Exception):
    """A value that does not fit; `steps` lead from it to the field, innermost first."""

    def __init__(self, wanted: str, value: Any, hint: str = "") -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.value = value
        self.hint = hint
        self.steps: list[str] = []


@cache
def _hints(kind: Hashable) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _read(value: Any, wanted: Any) -> Any:
    return _READERS.get(get_origin(wanted), _read_instance)(value, wanted)


def _read_step(step: str, value: Any, wanted: Any) -> Any:
    try:
        return _read(value, wanted)
    except _WrongError as error:
        error.steps.append(step)
        raise


def _read_instance(value: Any, wanted: Any) -> Any:
    if wanted is Any:
        return value
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise _WrongError(_describe(wanted), value, _hint(wanted.__name__, value))
    if wanted is str and not _is_clean(value):
        raise _WrongError("a text without NUL and half surrogate pairs", value)
    return value


def _is_clean(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _read_tuple(value: Any, wanted: Any) -> tuple[Any, ...]:
    items = get_args(wanted)
    if not isinstance(value, list | tuple):
        raise _WrongError(_describe(wanted), value, _hint("tuple", value))
    if items[-1] is not Ellipsis and len(value) != len(items):
        raise _WrongError(_describe(wanted), value)
    kinds = (items[0],) * len(value) if items[-1] is Ellipsis else items
    return tuple(
        _read_step(f"item {number} of ", item, kind)
        for number, (item, kind) in enumerate(zip(value, kinds, strict=True), 1)
    )


def _read_mapping(value: Any, wanted: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _WrongError(_describe(wanted), value, _hint("Mapping", value))
    key_kind, value_kind = get_args(wanted)
    return {
        _read_step("a name in ", key, key_kind): _read_step(f"{shown(key)} in ", item, value_kind)
        for key, item in value.items()
    }


def _read_callable(value: Any, wanted: Any) -> Any:
    if not callable(value):
        raise _WrongError(_describe(wanted), value)
    return value


def _read_union(value: Any, wanted: Any) -> Any:
    """By the first member that takes it; if none does, the first one's hint."""
    hints = []
    for member in get_args(wanted):
        try:
            return _read(value, member)
        except _WrongError as error:
            hints.append(error.hint)
    raise _WrongError(_describe(wanted), value, hints[0])


def _read_annotated(value: Any, wanted: Any) -> Any:
    kind, *notes = get_args(wanted)
    for form in (note for note in notes if isinstance(note, Form)):
        try:
            value = form.read(value)
        except ValueError as error:
            raise _WrongError(form.wanted, value, str(error)) from None
    value = _read(value, kind)
    for rule in (note for note in notes if isinstance(note, Rule)):
        if not rule.holds(value):
            hint = rule.hint if isinstance(rule.hint, str) else rule.hint(value)
            raise _WrongError(rule.wanted, value, hint)
    return value


_READERS: Mapping[Any, Callable[[Any, Any], Any]] = {
    tuple: _read_tuple,
    _MAPPING: _read_mapping,
    _CALLABLE: _read_callable,
    types.UnionType: _read_union,
    Union: _read_union,
    Annotated: _read_annotated,
}

# What a type is called, one value and several.
_CALLED: Mapping[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    bool: ("True or False", "truth values"),
    int: ("a whole number", "whole numbers"),
    type(None): ("None", "None"),
}
_VOWELS = tuple("AEIOU")


def _describe(wanted: Any, *, many: bool = False) -> str:
    """A type in words, of one value or of several."""
    if get_origin(wanted) is Annotated:
        kind, *notes = get_args(wanted)
        named = [note for note in notes if isinstance(note, Rule | Form)][-1]
        return (named.many if many else named.wanted) or _describe(kind, many=many)
    if get_origin(wanted) is not None:
        return _describe_form(get_origin(wanted), get_args(wanted), many=many)
    if wanted in _CALLED:
        return _CALLED[wanted][many]
    name = wanted.__name__
    return f"{name}s" if many else f"{'an' if name.startswith(_VOWELS) else 'a'} {name}"


def _describe_form(form: Any, items: tuple[Any, ...], *, many: bool) -> str:
    if form is tuple:
        words = ("a list", "lists") if items[-1] is Ellipsis else ("a pair", "pairs")
        return f"{words[many]} of {_describe(items[0], many=True)}"
    if form is _MAPPING:
        plain = "dictionaries" if many else "a dictionary"
        return plain if items[1] is Any else f"{plain} of {_describe(items[1], many=True)}"
    if form is _CALLABLE:
        return "functions" if many else "a function"
    return " or ".join(_describe(item, many=many) for item in items)


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


def _hint(wanted: str, value: Any) -> str:
    for name, kinds, text in _INSTEAD:
        if name == wanted and isinstance(value, kinds):
            return text.format(shown(value))
    return ""
