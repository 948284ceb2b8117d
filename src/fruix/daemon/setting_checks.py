"""What values settings may have: checks that return the value as it is used, or say what is wrong with it.

Each raises `TypeError` or `ValueError` for a value that is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from fruix.building.builders.sandbox_paths import check_entry
from fruix.building.settings import EVERY_VARIABLE, HelperSettings
from fruix.errors import FormatError, FruixError, UsageError
from fruix.late import late_pattern
from fruix.model.machines import Machine, parse_machines
from fruix.model.named_keys import PublicKey
from fruix.substitutes.address import CacheAddress
from fruix.this_machine import local_system

SIZE_LIMIT = 1 << 62
_WEB_ADDRESS = late_pattern(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
)


def number(least: int, most: int = SIZE_LIMIT) -> Callable[[Any], int]:
    """A whole number in a range."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{value!r} is not a whole number from {least} to {most}")
        return value

    return check


def truth(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def strings(value: Any) -> tuple[str, ...]:
    """A list of texts that aren't empty."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(cast("list[str]", value))


def absolute_names(value: Any) -> tuple[str, ...]:
    """A list of file names that begin with a slash."""
    names = strings(value)
    if relative := [name for name in names if not name.startswith("/")]:
        raise ValueError(f"'{relative[0]}' is not an absolute file name")
    return names


def file(value: Any) -> str:
    """One such name."""
    return absolute_names([value])[0]


def web_address(value: Any) -> str:
    """An http or https URL, or nothing."""
    text = strings([value])[0]
    if text and not _WEB_ADDRESS.fullmatch(text):
        raise ValueError(f"'{text}' is no address of a server: http://HOST or https://HOST")
    return text


def ports(value: Any) -> tuple[int, ...]:
    """A list of numbers of ports."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list of numbers")
    return tuple(map(number(1, (1 << 16) - 1), value))


def public_keys(value: Any) -> tuple[str, ...]:
    """A list of Nix's public keys."""
    for text in (texts := strings(value)):
        try:
            PublicKey.parse(text)
        except FormatError as error:
            raise ValueError(error.message) from None
    return texts


def caches(value: Any) -> tuple[str, ...]:
    """A list of addresses of binary caches."""
    for text in (texts := strings(value)):
        try:
            CacheAddress.parse(text)
        except UsageError as error:
            raise ValueError(str(error)) from None
    return texts


def machines(value: Any) -> tuple[Machine, ...]:
    """A list of machines, or names of files (behind `@`) that hold such lists."""
    texts = [value] if isinstance(value, str) else strings(value)
    try:
        return tuple(one for text in texts for one in read_machines(text))
    except (FruixError, OSError) as error:
        raise ValueError(str(error)) from None


def _text_of(file: str) -> str:
    with open(file, encoding="utf-8") as opened:
        return opened.read()


def read_machines(text: str) -> tuple[Machine, ...]:
    """The machines of a list; a part that is `@` and the name of a file stands for that file's.

    Raises:
        FormatError: a line that is none.
        OSError: a file can't be read.
    """
    parts = text.replace(";", "\n").splitlines()
    texts = [_text_of(part.strip()[1:]) if part.strip().startswith("@") else part for part in parts]
    return parse_machines("\n".join(texts), local_system())


def helper(value: Any) -> HelperSettings:
    """A table: the command of a substitute helper, what it is shown, and options of its own."""
    if not isinstance(value, dict) or not {"command"} <= set(value) <= {"command", "files", "options"}:
        raise ValueError(f"{value!r} is no table of 'command', and perhaps 'files' and 'options'")
    if not (command := strings(value["command"])):
        raise ValueError("'command' names no file")
    file(command[0])
    options = table(_line)(value.get("options", {}))
    return HelperSettings(command, absolute_names(value.get("files", [])), options)


def _line(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} is not a text of one line")
    return value


def features(value: Any) -> tuple[str, ...]:
    """Words; some stand for abilities of a daemon, which this one doesn't have whatever its operator says."""
    for name in (names := strings(value)):
        if name in _NOT_HERE:
            raise ValueError(f"'{name}' is nothing that this daemon can do")
        if len(name.split()) != 1 or name.strip() != name:
            raise ValueError(f"'{name}' is not a word")
    return names


def variables(value: Any) -> tuple[str, ...]:
    """A list of names of environment variables; `*` stands for all."""
    for name in (names := strings(value)):
        if name != EVERY_VARIABLE and not _VARIABLE.fullmatch(name):
            raise ValueError(f"'{name}' can't be the name of a variable")
    return names


def environment(value: Any) -> Mapping[str, str]:
    """A table of variables."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError(f"{value!r} is not a table of texts")
    variables(list(value))
    return value


def sandbox_paths(value: Any) -> tuple[str, ...]:
    """A list of `TARGET[=SOURCE][?]`, both absolute and in normal form."""
    return tuple(map(check_entry, strings(value)))


_VARIABLE = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_HERE = frozenset({"uid-range", "ca-derivations"})


def word(*words: str) -> Callable[[Any], str]:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return str(value)

    return check


def table(check: Callable[[Any], Any]) -> Callable[[Any], Mapping[str, Any]]:
    """A table, all of whose values pass a check."""

    def check_all(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is not a table")
        return {name: check(item) for name, item in value.items()}

    return check_all
