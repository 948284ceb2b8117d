"""Package definitions from a file or an expression of the user's. They run with the user's rights, in the client, never in the daemon."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from fruix.errors import FruixError, UsageError
from fruix.packages.catalogue import find
from fruix.packages.package import Origin, Package
from fruix.packages.phases import Phases

_WORDS: Mapping[str, Any] = {"Origin": Origin, "Package": Package, "Phases": Phases, "find": find}


def from_file(path: str) -> list[Package]:
    """The packages that a Python file defines: its module-level `package`, or the list `packages`.

    Raises:
        UsageError: unreadable, not Python, fails, or defines neither; the message names file and line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read package file: {error}", where=path) from error
    names: dict[str, Any] = {**_WORDS, "__file__": path, "__name__": "fruix_package_file"}
    _run(lambda: exec(compile(text, path, "exec"), names), path)  # noqa: S102 - the user's own file
    found = names.get("packages", [names["package"]] if "package" in names else None)
    if (
        not isinstance(found, list | tuple)
        or not found
        or not all(isinstance(item, Package) for item in found)
    ):
        raise UsageError(
            "the file defines no package",
            where=path,
            hint="give it a module-level `package = Package(…)`, or a list `packages`",
        )
    return list(found)


def from_expression(text: str) -> Package:
    """The package that a Python expression gives, such as `find("hello").inherit(version="2.12.4", …)`; catalogue names are there too.

    Raises:
        UsageError: not an expression, fails, or gives something else.
    """
    result = _run(lambda: eval(compile(text, "<expression>", "eval"), {}, _Names()), "-e")  # noqa: S307 - the user's own
    if not isinstance(result, Package):
        raise UsageError(f"'{text}' gives {type(result).__name__}, not a package", where="-e")
    return result


class _Names(dict[str, Any]):
    """Names of an expression: our words, else packages of the catalogue (dashes written as underscores)."""

    def __missing__(self, name: str) -> Any:
        if name in _WORDS:
            return _WORDS[name]
        try:
            return find(name.replace("_", "-"))
        except UsageError as error:
            raise NameError(
                f"'{name}' is neither a word of package definitions nor a package ({error.hint})"
            ) from error


def _run(action: Any, where: str) -> Any:
    try:
        return action()
    except SyntaxError as error:
        raise UsageError(f"line {error.lineno}: {error.msg}", where=where) from error
    except FruixError as error:
        line = _line(error, where)
        raise UsageError(error.message, where=f"{where}{line}", hint=error.hint) from error
    except Exception as error:  # a definition may raise anything
        raise UsageError(f"{type(error).__name__}: {error}", where=f"{where}{_line(error, where)}") from error


def _line(error: BaseException, where: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    return f", line {lines[-1]}" if lines else ""
