"""What fields of definitions may hold (see `check`), and the decorator that makes a record of them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar

from fruix.errors import FormatError, UsageError
from fruix.model.hashes import Hash
from fruix.model.storepath import MAX_NAME_SIZE, check_name
from fruix.packages import check
from fruix.packages.check import Form, Rule
from fruix.packages.place import definition_place, located
from fruix.packages.variables import VariableName

T = TypeVar("T")


def is_store_name(name: str) -> bool:
    """Whether a store path, and no derivation's, can have this name."""
    return _parses(check_name, name) and not name.endswith(".drv")


def _parses(parse: Callable[..., object], *arguments: str) -> bool:
    try:
        parse(*arguments)
    except FormatError:
        return False
    return True


def _is_url(text: str) -> bool:
    scheme, colon, rest = text.partition("://")
    return bool(scheme and colon and rest.strip("/")) and text.isprintable() and " " not in text


def _file_name(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


StoreName = Annotated[
    str,
    Rule(
        f"a name of 1 to {MAX_NAME_SIZE} letters, digits and + - . _ ? =, "
        "not beginning with a dot nor ending in .drv",
        is_store_name,
        "names",
    ),
]
Version = Annotated[
    str,
    Rule(
        "a version of letters, digits and + - . _ ? =, or empty",
        lambda text: not text or is_store_name(f"x-{text}"),
    ),
]
Url = Annotated[str, Rule("a URL such as https://…", _is_url, "URLs")]
Sha256 = Annotated[
    str,
    Rule(
        "a SHA-256",
        lambda text: _parses(Hash.parse, text, "sha256"),
        hint="64 hexadecimal digits, 52 characters of nix32, or sha256-…; "
        "not known yet: 64 zeros, then the build says it",
    ),
]
FileName = Annotated[
    str,
    Form("the name of a file", _file_name, "names of files"),
    Rule("the name of a file", bool, "names of files"),
]
Saying = Annotated[str, Rule("a text that says something", lambda text: text.strip() != "", "texts")]
OutputNames = Annotated[
    tuple[VariableName, ...],
    Rule(
        "a list of names with 'out' among them",
        lambda names: "out" in names,
        hint='the output that everybody gets is called "out", such as in ("out", "lib")',
    ),
    Rule("a list of different names", lambda names: len(set(names)) == len(names)),
]


def definition(kind: type[T]) -> type[T]:
    """Have errors in making a record of this class say the place of the definition.

    A class decorator. Unknown names of fields are among these errors.
    """
    made = kind.__init__
    signature = inspect.signature(made)
    known = [name for name in signature.parameters if name != "self"]

    @wraps(made)
    def init(self: T, *values: Any, **named: Any) -> None:
        with located(definition_place(), _subject(kind, values, named)):
            check.check_names(named, known, f"{kind.__name__} has no field")
            try:
                signature.bind(self, *values, **named)
            except TypeError as error:
                raise UsageError(f"{kind.__name__}: {error}", hint=f"fields: {', '.join(known)}") from None
            made(self, *values, **named)

    kind.__init__ = init  # type: ignore[assignment]
    return kind


def _subject(kind: type, values: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """What a record is called in messages: its name, if it has a fit one."""
    name = named.get("name", values[0] if values else "")
    return name if isinstance(name, str) and is_store_name(name) else kind.__name__
