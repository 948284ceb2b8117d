"""What fields of definitions may hold (see `check`), and the decorator that makes a record of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Annotated, Any, TypeVar

from fruix.dataclass import MISSING, fields
from fruix.errors import FormatError, UsageError
from fruix.model.hashes import Hash
from fruix.model.storepath import MAX_NAME_SIZE, check_name
from fruix.packages import check
from fruix.packages.check import Form, Rule
from fruix.packages.place import definition_place, located
from fruix.packages.variables import VariableName

T = TypeVar("T")


@lru_cache(maxsize=1024)  # asked for the record and for its name
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
    taken = [part for part in fields(kind) if part.init]  # type: ignore[arg-type]
    known = [part.name for part in taken]
    required = [part.name for part in taken if part.default is part.default_factory is MISSING]

    @wraps(made)
    def init(self: T, *values: Any, **named: Any) -> None:
        with located(definition_place(), _subject(kind, values, named)):
            check.check_names(named, known, f"{kind.__name__} has no field")
            if wrong := _misfit(kind.__match_args__, required, values, named):  # type: ignore[attr-defined]
                raise UsageError(f"{kind.__name__}: {wrong}", hint=f"fields: {', '.join(known)}")
            made(self, *values, **named)

    kind.__init__ = init  # type: ignore[assignment]
    return kind


def _misfit(
    positional: Sequence[str], required: Sequence[str], values: Sequence[Any], named: Mapping[str, Any]
) -> str:
    """Say what is wrong with a constructor's arguments; names that it does not know have been refused."""
    if len(values) > len(positional):
        return "too many positional arguments"
    placed = positional[: len(values)]
    twice = [name for name in placed if name in named]
    missing = [name for name in required if name not in named and name not in placed]
    if twice:
        return f"multiple values for argument '{twice[0]}'"
    return f"missing a required argument: '{missing[0]}'" if missing else ""


def _subject(kind: type, values: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """What a record is called in messages: its name, if it has a fit one."""
    name = named.get("name", values[0] if values else "")
    return name if isinstance(name, str) and is_store_name(name) else kind.__name__
