"""Packages by name, and from files and expressions of the user's.

Those run with the user's rights, in the client, never in the daemon.

`FRUIX_PACKAGE_PATH` lists directories, separated by colons. A file `NAME.py` there defines the
package NAME (a dash may be written as an underscore), or several versions of it in a list
`packages`, and goes before the catalogue's package of that name. Only the files that are asked for
are read, each once. A file that defines neither is none of a package: others may import it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from fruix.dataclass import dataclass
from fruix.errors import DefinitionError, FruixError, UsageError
from fruix.model.nearest import nearest
from fruix.model.storepath import package_of
from fruix.packages.catalogue import shipped, shipped_names
from fruix.packages.modules import Modules
from fruix.packages.package import Git, Local, Origin, Package
from fruix.packages.phases import Phases
from fruix.packages.place import EXPRESSION, Place, located
from fruix.packages.wording import shown

PATH_VARIABLE = "FRUIX_PACKAGE_PATH"


@dataclass(frozen=True, slots=True)
class Broken:
    """A file, or a directory of the path, that can't be used.

    `names` are those of the packages that are missing because of it.
    """

    error: FruixError
    names: tuple[str, ...] = ()


def find(word: str) -> Package:
    """A package by `NAME`, `NAME@VERSION` or `NAME-VERSION`; of several versions, the first.

    Raises:
        UnknownPackageError: there is none (the hint names the nearest).
        DefinitionError: its file is wrong.
    """
    if not isinstance(word, str):
        raise UsageError(f"find() should be given a name in quotes, not {shown(word)}")
    name, _, version = word.partition("@")
    packages = _by_name(name)
    if not packages and not version and (short := package_of(name)) != name:
        version = name[len(short) + 1 :]
        packages = [package for package in _by_name(short) if package.version == version]
    if not packages:
        raise _unknown(name)
    found = [package for package in packages if version in {"", package.version}]
    if not found:
        has = ", ".join(package.version for package in packages)
        hint = f"fruix build {name}@{packages[0].version}"
        raise UnknownPackageError(f"package '{name}' has version {has}, not {version}", hint=hint)
    return found[0]


class UnknownPackageError(UsageError):
    """No package has that name, or that version."""


def _unknown(name: str) -> UnknownPackageError:
    """The error for a name that nobody has; a directory that can't be read may be why."""
    unread: list[FruixError] = []
    near = nearest(name, known_names(unread.append))
    where = f" or on {PATH_VARIABLE}" if os.environ.get(PATH_VARIABLE) else ""
    hint = "; ".join([near, *map(str, unread)])
    return UnknownPackageError(f"there is no package '{name}' in the catalogue{where}", hint=hint)


def all_packages(report: Callable[[Broken], None]) -> list[Package]:
    """Every package that `find` knows, by name.

    Args:
        report: is told of each file and directory that can't be used, once, when all others were
            read.
    """
    found: list[Package] = []
    broken: dict[str, Broken] = {}

    def note(error: FruixError, *names: str) -> None:
        known = broken.get(str(error), Broken(error))
        broken[str(error)] = Broken(error, (*known.names, *names))

    for name in sorted(known_names(note)):
        try:
            found += _by_name(name)
        except _NoPackageError:
            continue  # a file for others to import
        except FruixError as error:
            note(error, name)
    for item in broken.values():
        report(item)
    return found


def known_names(report: Callable[[FruixError], None] = lambda _error: None) -> set[str]:
    """The names of all packages that `find` could know; no file is read.

    Args:
        report: is told of each directory of the path that can't be read.
    """
    files = [file for directory in _directories() for file in _list(directory, report)]
    return {
        *shipped_names(),
        *(_name(file) for file in files if file.endswith(".py") and file[0] not in "._"),
    }


def from_file(path: str) -> list[Package]:
    """The packages that a Python file defines: its module-level `package`, or the list `packages`.

    Raises:
        UsageError: unreadable, not Python, fails, or defines neither; the message names file and
            line.
    """
    with located(Place(path, 0)):
        try:
            module = _MODULES.read(path)
        except OSError as error:
            if error.filename != path:
                raise
            raise UsageError(f"can't read package file: {error.strerror}") from error
    return _packages_of(module, path)


def _packages_of(module: ModuleType, path: str) -> list[Package]:
    names = vars(module)
    found = names.get("packages", [names["package"]] if "package" in names else None)
    if found is None or (isinstance(found, list | tuple) and not found):
        hint = "give it a module-level `package = Package(…)`, or a list `packages`"
        raise _NoPackageError("the file defines no package", path, hint=hint)
    hint = "make it with Package(…), or with inherit(…) from another"
    if not isinstance(found, list | tuple):
        raise DefinitionError(f"`packages` should be a list of Packages, not {shown(found)}", path, hint=hint)
    for item in found:
        if not isinstance(item, Package):
            why = f"`package` or `packages` holds {shown(item)}, which is not a Package"
            raise DefinitionError(why, path, hint=hint)
    return list(found)


class _NoPackageError(DefinitionError):
    """The file defines no package: others may import it."""


def from_expression(text: str) -> Package:
    """The package that a Python expression gives.

    Such as `find("hello").inherit(version="2.12.4", …)`; packages can be named without `find`, too.

    Raises:
        UsageError: not an expression, fails, or gives something else.
    """
    with located(Place(EXPRESSION, 0)):
        code = compile(text, EXPRESSION, "eval", dont_inherit=True)
        result = eval(code, {}, _Names())  # noqa: S307 - the user's own
    if not isinstance(result, Package):
        raise DefinitionError(f"'{text}' gives {shown(result)}, not a Package", EXPRESSION)
    return result


_WORDS: Mapping[str, Any] = {
    "Git": Git,
    "Local": Local,
    "Origin": Origin,
    "Package": Package,
    "Phases": Phases,
    "find": find,
}
_MODULES = Modules(_WORDS)  # what was read, so that a package is the same object for everybody


class _Names(dict[str, Any]):
    """Names of an expression: words of definitions, else packages (dashes as underscores)."""

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
                return _packages_on_path(path, name)
    return [shipped(name)] if name in shipped_names() else []


def _packages_on_path(path: str, name: str) -> list[Package]:
    """The packages of a file on the path; all must have the name that the file has."""
    packages = from_file(path)
    for package in packages:
        if package.name != name:
            why = f"the file defines '{package.name}', but by its name should define '{name}'"
            hint = f"rename the file to {package.name}.py, or build it with -f {path}"
            raise DefinitionError(why, str(package.location), hint=hint)
    return packages


def _directories() -> Sequence[str]:
    return [os.path.abspath(item) for item in os.environ.get(PATH_VARIABLE, "").split(":") if item]


def _list(directory: str, report: Callable[[FruixError], None]) -> Sequence[str]:
    try:
        return os.listdir(directory)
    except OSError as error:
        why = f"can't read a directory of {PATH_VARIABLE}: {error.strerror}"
        report(UsageError(why, where=directory, hint=f"correct {PATH_VARIABLE}"))
        return []


def _name(file: str) -> str:
    return file.removesuffix(".py").replace("_", "-")
