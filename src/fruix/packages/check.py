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
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from fruix.dataclass import fields
from fruix.errors import UsageError
from fruix.model.nearest import nearest
from fruix.packages.annotations import CALLABLE, MAPPING, Form, Rule, described, hint_for, one_of
from fruix.packages.wording import shown

__all__ = ["Form", "Rule", "check_names", "make", "one_of", "read", "read_fields", "wrong"]

T = TypeVar("T")
Reader = Callable[[Any], Any]
# Texts that passed an annotation's rules, for each; longer ones aren't kept.
_MOST_FIT, _LONGEST_FIT = 4096, 200
_NOTHING: Any = object()


def read(value: Any, wanted: Any, subject: str) -> Any:
    """A value by its annotation; `subject` names it in messages.

    Raises:
        UsageError: it does not fit.
    """
    return _read(_reader(wanted), value, subject)


def _read(reader: Reader, value: Any, subject: str) -> Any:
    try:
        return reader(value)
    except _WrongError as error:
        raise wrong(f"{''.join(error.steps)}{subject}", error.wanted, error.value, error.hint) from None


def read_fields(record: Any) -> None:
    """Read every field of a frozen dataclass, in place.

    Raises:
        UsageError: a field holds something else than its annotation says.
    """
    for field in _fields(type(record)):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if value is not field.fit:
            found = _read(field.reader, value, f"field '{field.name}'")
            object.__setattr__(record, field.name, found)


class _Field(NamedTuple):
    """`fit`: its default, if that is kept as it is, or else what no field holds."""

    name: str
    reader: Reader
    fit: Any


@cache
def _fields(kind: Hashable) -> list[_Field]:
    hints = _hints(kind)
    taken = [part for part in fields(kind) if part.init]  # type: ignore[arg-type]
    return [
        _Field(part.name, reader := _reader(hints[part.name]), _fit_default(reader, part.default))
        for part in taken
    ]


def _fit_default(reader: Reader, default: Any) -> Any:
    try:
        return default if reader(default) == default else _NOTHING
    except _WrongError:
        return _NOTHING


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
    read_values = {
        name: _read(_reader(hints[name]), value, f"{noun} '{name}'") for name, value in values.items()
    }
    return kind(**read_values)


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


# How a value is read, by its annotation. Each function makes that of one form; they are made once.


@cache
def _reader(wanted: Hashable) -> Reader:
    return _READERS.get(get_origin(wanted), _instances)(wanted)


def _instances(wanted: Any) -> Reader:
    if wanted is Any:
        return lambda value: value
    if wanted is str:
        return _read_text

    def read_instance(value: Any) -> Any:
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise _WrongError(described(wanted), value, hint_for(wanted.__name__, value))
        return value

    return read_instance


def _read_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise _WrongError(described(str), value, hint_for("str", value))
    if "\0" in value or not (value.isascii() or _is_whole(value)):
        raise _WrongError("a text without NUL and half surrogate pairs", value)
    return value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tuples(wanted: Any) -> Reader:
    *items, last = get_args(wanted)
    alike = _reader(items[0]) if last is Ellipsis else None
    readers = [] if alike else [*map(_reader, get_args(wanted))]

    def read_tuple(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise _WrongError(described(wanted), value, hint_for("tuple", value))
        if not alike and len(value) != len(readers):
            raise _WrongError(described(wanted), value)
        found: list[Any] = []
        for item, reader in zip(value, [alike] * len(value) if alike else readers, strict=True):
            try:
                found.append(reader(item))
            except _WrongError as error:
                error.steps.append(f"item {len(found) + 1} of ")
                raise
        return tuple(found)

    return read_tuple


def _mappings(wanted: Any) -> Reader:
    read_key, read_value = map(_reader, get_args(wanted))

    def read_mapping(value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise _WrongError(described(wanted), value, hint_for("Mapping", value))
        found: dict[Any, Any] = {}
        for key, item in value.items():
            step = "a name in "
            try:
                name = read_key(key)
                step = ""
                found[name] = read_value(item)
            except _WrongError as error:
                error.steps.append(step or f"{shown(key)} in ")
                raise
        return found

    return read_mapping


def _callables(wanted: Any) -> Reader:
    def read_callable(value: Any) -> Any:
        if not callable(value):
            raise _WrongError(described(wanted), value)
        return value

    return read_callable


def _unions(wanted: Any) -> Reader:
    members = [*map(_reader, get_args(wanted))]

    def read_union(value: Any) -> Any:
        """By the first member that takes it; if none does, the first one's hint."""
        hints = []
        for reader in members:
            try:
                return reader(value)
            except _WrongError as error:
                hints.append(error.hint)
        raise _WrongError(described(wanted), value, hints[0])

    return read_union


def _annotated(wanted: Any) -> Reader:
    kind, *notes = get_args(wanted)
    reader = _reader(kind)
    forms = [note for note in notes if isinstance(note, Form)]
    rules = [note for note in notes if isinstance(note, Rule)]
    fit: set[str] = set()  # a rule says the same of the same text

    def read_annotated(value: Any) -> Any:
        if type(value) is str and value in fit:
            return value
        given = value
        for form in forms:
            try:
                value = form.read(value)
            except ValueError as error:
                raise _WrongError(form.wanted, value, str(error)) from None
        value = reader(value)
        for rule in rules:
            if not rule.holds(value):
                hint = rule.hint if isinstance(rule.hint, str) else rule.hint(value)
                raise _WrongError(rule.wanted, value, hint)
        if value is given and type(value) is str and len(value) <= _LONGEST_FIT:
            if len(fit) >= _MOST_FIT:
                fit.clear()
            fit.add(value)
        return value

    return read_annotated


_READERS: Mapping[Any, Callable[[Any], Reader]] = {
    tuple: _tuples,
    MAPPING: _mappings,
    CALLABLE: _callables,
    types.UnionType: _unions,
    Union: _unions,
    Annotated: _annotated,
}
