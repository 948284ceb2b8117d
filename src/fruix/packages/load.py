"""Packages by name, and from files and expressions of the user's. Those run with the user's rights, in the client, never in the daemon.

`FRUIX_PACKAGE_PATH` lists directories, separated by colons. A file `NAME.py` there defines the package NAME (a dash may be written as an
underscore), or several versions of it in a list `packages`, and goes before the catalogue's package of that name. Only the files that are asked for
are read, each once.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fruix.errors import FruixError, UsageError
from fruix.packages.catalogue import shipped, shipped_names
from fruix.packages.package import Origin, Package, nearest
from fruix.packages.phases import Phases

PATH_VARIABLE = "FRUIX_PACKAGE_PATH"
_loaded: dict[str, list[Package]] = {}  # so that a package is the same object for everybody
_loading: list[str] = []


def find(word: str) -> Package:
    """A package by `NAME` or `NAME@VERSION`; of several versions, the first.

    Raises:
        UsageError: there is none (the hint names the nearest), or its file is wrong.
    """
    name, _, version = word.partition("@")
    packages = _by_name(name)
    if not packages:
        where = f" or on {PATH_VARIABLE}" if os.environ.get(PATH_VARIABLE) else ""
        raise UsageError(
            f"there is no package '{name}' in the catalogue{where}", hint=nearest(name, known_names())
        )
    found = [package for package in packages if version in {"", package.version}]
    if not found:
        has = ", ".join(package.version for package in packages)
        raise UsageError(
            f"package '{name}' has version {has}, not {version}",
            hint=f"fruix build {name}@{packages[0].version}",
        )
    return found[0]


def all_packages() -> Iterator[Package]:
    """Every package that `find` knows, by name."""
    for name in sorted(known_names()):
        yield from _by_name(name)


def known_names() -> set[str]:
    """Their names; no file is read."""
    files = [file for directory in _directories() for file in _list(directory)]
    return {
        *shipped_names(),
        *(_name(file) for file in files if file.endswith(".py") and file[0] not in "._"),
    }


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
    if not isinstance(found, list | tuple) or not found:
        raise UsageError(
            "the file defines no package",
            where=path,
            hint="give it a module-level `package = Package(…)`, or a list `packages`",
        )
    for item in found:
        if not isinstance(item, Package):
            raise UsageError(
                f"`package` or `packages` holds {item!r}, which is not a package",
                where=path,
                hint="make it with Package(…), or with inherit(…) from another",
            )
    return list(found)


def from_expression(text: str) -> Package:
    """The package that a Python expression gives, such as `find("hello").inherit(version="2.12.4", …)`; names of packages are there too.

    Raises:
        UsageError: not an expression, fails, or gives something else.
    """
    result = _run(lambda: eval(compile(text, "-e", "eval"), {}, _Names()), "-e")  # noqa: S307 - the user's own
    if not isinstance(result, Package):
        raise UsageError(f"'{text}' gives {type(result).__name__}, not a package", where="-e")
    return result


_WORDS: Mapping[str, Any] = {"Origin": Origin, "Package": Package, "Phases": Phases, "find": find}


class _Names(dict[str, Any]):
    """Names of an expression: our words, else packages (dashes written as underscores)."""

    def __missing__(self, name: str) -> Any:
        if name in _WORDS:
            return _WORDS[name]
        if name.replace("_", "-") in known_names():
            return find(name.replace("_", "-"))
        hint = nearest(name.replace("_", "-"), known_names())
        raise NameError(f"'{name}' is neither a word of package definitions nor a package ({hint})")


def _by_name(name: str) -> list[Package]:
    for directory in _directories():
        for file in dict.fromkeys((f"{name}.py", f"{name.replace('-', '_')}.py")):
            path = os.path.join(directory, file)
            if "/" not in name and os.path.isfile(path):
                return _once(path, name)
    return [shipped(name)] if name in shipped_names() else []


def _once(path: str, name: str) -> list[Package]:
    """The packages of a file on the path, read at most once."""
    if path in _loading:
        circle = " → ".join([*_loading[_loading.index(path) :], path])
        raise UsageError(
            f"package files need each other in a circle: {circle}", hint="take one of these inputs out"
        )
    if path not in _loaded:
        _loading.append(path)
        try:
            packages = from_file(path)
        finally:
            _loading.pop()
        for package in packages:
            if package.name != name:
                raise UsageError(
                    f"the file defines '{package.name}', but by its name should define '{name}'",
                    where="{}:{}".format(*package.location),
                    hint=f"rename the file to {package.name}.py, or build it with -f {path}",
                )
        _loaded[path] = packages
    return _loaded[path]


def _directories() -> Sequence[str]:
    return [os.path.abspath(item) for item in os.environ.get(PATH_VARIABLE, "").split(":") if item]


def _list(directory: str) -> Sequence[str]:
    try:
        return os.listdir(directory)
    except OSError as error:
        raise UsageError(
            f"can't read a directory of {PATH_VARIABLE}: {error.strerror}",
            where=directory,
            hint=f"correct {PATH_VARIABLE}",
        ) from error


def _name(file: str) -> str:
    return file.removesuffix(".py").replace("_", "-")


def _run(action: Callable[[], Any], where: str) -> Any:
    hint = "correct the definition there; docs/packages.md says what it may hold"
    try:
        return action()
    except SyntaxError as error:
        raise UsageError(
            f"not Python: {error.msg}", where=f"{error.filename}:{error.lineno}", hint=hint
        ) from error
    except FruixError as error:
        raise UsageError(error.message, where=_place(error, where), hint=error.hint or hint) from error
    except Exception as error:  # a definition may raise anything
        raise UsageError(f"{type(error).__name__}: {error}", where=_place(error, where), hint=hint) from error


def _place(error: BaseException, where: str) -> str:
    """`FILE:LINE` of the innermost line of the user's; an error that names its place already keeps it."""
    if isinstance(error, FruixError) and ".py:" in error.where:
        return error.where
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    return f"{where}:{lines[-1]}" if lines else where
