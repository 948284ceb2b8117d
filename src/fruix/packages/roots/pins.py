"""The file of a root: what is asked for, written by people, and below a mark the pieces that it means.

Format: docs/roots.md, "Pins". What stands below the mark is written by `fruix root update`. The
files of the roots that Fruix brings lie beside this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from fruix.dataclass import dataclass
from fruix.errors import FruixError, UsageError
from fruix.late import late_pattern
from fruix.model.nearest import nearest
from fruix.model.root import Kind, Piece

MARK = "# What follows is written by 'fruix root update'.\n"
BASE, RUNTIME = "base", "runtime"
_HERE = os.path.dirname(__file__)
_SHA256 = late_pattern(r"[0-9a-f]{64}")
_GROUP = late_pattern(r"base|runtime|\+[a-z0-9][a-z0-9.+-]*")
_PATH = late_pattern(r"(?!/)(?:(?!\.{1,2}(?:/|$))[^/\0\n]+(?:/|$))+")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class PinnedPiece:
    """A `.deb` of the archive; `path` is below the archive's top, `groups` are those it belongs to."""

    name: str
    version: str
    path: str
    sha256: str
    size: int
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PinnedArchive:
    """A piece with URLs of its own: a set of FreeBSD's base system, any tarball, a `.deb` of elsewhere."""

    piece: Piece
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootSystem:
    """What differs between systems.

    Attributes:
        architecture: Debian's name of it.
        loader: the dynamic loader, below the root.
        library_path: directories of libraries, below the root.
        runtime_without: patterns of what the runtime leaves out.
    """

    architecture: str
    loader: str
    library_path: tuple[str, ...]
    runtime_without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pins:
    """One such file.

    Attributes:
        file: where it is.
        written: the text above the mark.
        wanted: group → names of packages: `base`, `runtime`, and variants, as `+c++`.
        without: names of packages that are left out, whatever depends on them.
        links: group → path → target.
        release: `date`, `inrelease` (SHA-256) and `snapshot` of the index that the pieces are from.
        pieces: system → pieces by name; empty before the first update.
        archives: system → pieces that people have written down: other things than packages of Debian.
    """

    file: str
    written: str
    name: str
    suite: str
    without: tuple[str, ...]
    wanted: Mapping[str, tuple[str, ...]]
    links: Mapping[str, Mapping[str, str]]
    systems: Mapping[str, RootSystem]
    release: Mapping[str, str]
    pieces: Mapping[str, tuple[PinnedPiece, ...]]
    archives: Mapping[str, tuple[PinnedArchive, ...]] = MappingProxyType({})

    def listed(self, system: str) -> Iterator[PinnedPiece]:
        """All pieces for a system in one form; the `path` of those with URLs of their own is the first."""
        yield from self.pieces.get(system, ())
        for archive in self.archives.get(system, ()):
            piece = archive.piece
            yield PinnedPiece(
                piece.name, piece.version, piece.urls[0], piece.sha256, piece.size, archive.groups
            )


def shipped() -> list[str]:
    """The names of the roots that Fruix brings."""
    return sorted(name.removesuffix(".toml") for name in os.listdir(_HERE) if name.endswith(".toml"))


def file_of(word: str) -> str:
    """The file of a root that Fruix brings, or the file itself, if the word has a `/` or ends in `.toml`.

    Raises:
        UsageError: there is no such root.
    """
    if "/" in word or word.endswith(".toml"):
        return word
    if word not in shipped():
        raise UsageError(f"there is no root '{word}'", hint=nearest(word, shipped()))
    return os.path.join(_HERE, f"{word}.toml")


def read(file: str) -> Pins:
    """Read the file of a root.

    Raises:
        UsageError: it can't be read, or something in it is wrong; names what.
    """
    import tomllib  # noqa: PLC0415 - most commands read no pins

    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
        table = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"the pins can't be read: {error}", where=file) from error
    try:
        return _pins(file, text.partition(MARK)[0], table)
    except _WrongError as error:
        raise UsageError(error.message, where=f"{file}: {error.where}") from None


class _WrongError(FruixError):
    """A value that is missing, or is none of its kind; `where` is its key."""


def _pins(file: str, written: str, table: Mapping[str, Any]) -> Pins:
    pinned = _take(table, "pinned", dict, {})
    rows = _take(pinned, "pieces", dict, {}, "pinned.")
    systems = _take(table, "systems", dict)
    archives = _take(table, "archives", dict, {})
    for key, found in (("pinned.pieces", rows), ("archives", archives)):
        if unknown := sorted(found.keys() - systems.keys()):
            raise _WrongError(f"pieces of a system that [systems] hasn't: {unknown[0]}", where=key)
    return Pins(
        file,
        written,
        _take(table, "name", str),
        _take(table, "suite", str),
        _strings(table, "without", default=[]),
        MappingProxyType(
            {
                _matching(_GROUP, group, "a group's name", "wanted"): _strings(
                    table["wanted"], group, "wanted."
                )
                for group in _take(table, "wanted", dict)
            }
        ),
        MappingProxyType(
            {
                group: _links(links, f"links.{group}.")
                for group, links in _take(table, "links", dict, {}).items()
            }
        ),
        MappingProxyType({system: _system(systems, system) for system in systems}),
        MappingProxyType({key: value for key, value in pinned.items() if isinstance(value, str)}),
        _each(rows, "pinned.pieces", _piece),
        _each(archives, "archives", partial(_archive, directory=os.path.dirname(file))),
    )


def _each(
    table: Mapping[str, Any], where: str, make: Callable[[Mapping[str, Any], str], _Value]
) -> Mapping[str, tuple[_Value, ...]]:
    """The rows of each system, read."""
    return MappingProxyType(
        {
            system: tuple(make(row, f"{where}.{system}[{at}].") for at, row in enumerate(table[system]))
            for system in table
        }
    )


def _system(systems: Mapping[str, Any], name: str) -> RootSystem:
    table, where = _take(systems, name, dict, where="systems."), f"systems.{name}."
    paths = _strings(table, "library_path", where)
    without = _strings(table, "runtime_without", where, default=[])
    loader = _take(table, "loader", str, where=where)
    for path in (loader, *paths, *without):
        _matching(_PATH, path, "a path below the root", where[:-1])
    return RootSystem(_take(table, "architecture", str, where=where), loader, paths, without)


def _links(links: Mapping[str, Any], where: str) -> Mapping[str, str]:
    return MappingProxyType(
        {
            _matching(_PATH, path, "a path below the root", where[:-1]): _take(links, path, str, where=where)
            for path in links
        }
    )


def _piece(row: Mapping[str, Any], where: str) -> PinnedPiece:
    path = _matching(_PATH, _take(row, "path", str, where=where), "a path below the archive", f"{where}path")
    sha256 = _matching(_SHA256, _take(row, "sha256", str, where=where), "a SHA-256 in hex", f"{where}sha256")
    return PinnedPiece(
        _take(row, "name", str, where=where),
        _take(row, "version", str, where=where),
        path,
        sha256,
        _take(row, "size", int, where=where),
        _strings(row, "groups", where),
    )


def _archive(row: Mapping[str, Any], where: str, directory: str) -> PinnedArchive:
    kind, urls = _take(row, "kind", str, where=where), _strings(row, "urls", where)
    if kind not in get_args(Kind):
        raise _WrongError(f"'{kind}' is none of {', '.join(get_args(Kind))}", where=f"{where}kind")
    if not urls:
        raise _WrongError("is empty", where=f"{where}urls")
    if "manifest" in row:
        sha256 = _hash_in(_take(row, "manifest", str, where=where), urls[0], directory, where)
    else:
        sha256 = _take(row, "sha256", str, where=where)
    _matching(_SHA256, sha256, "a SHA-256 in hex", f"{where}sha256")
    name, version = (_take(row, key, str, where=where) for key in ("name", "version"))
    size = _take(row, "size", int, 0, where)
    return PinnedArchive(Piece(name, version, urls, sha256, size, kind), _strings(row, "groups", where))  # type: ignore[arg-type]


def _hash_in(manifest: str, url: str, directory: str, where: str) -> str:
    """The SHA-256 that a release's MANIFEST has for a set: lines of name, hash and more, between tabs."""
    path, name = os.path.join(directory, manifest), url.rpartition("/")[2]
    try:
        with open(path, encoding="utf-8") as file:
            hashes = {row[0]: row[1] for line in file if len(row := line.split("\t")) > 1}
    except (OSError, ValueError) as error:
        raise _WrongError(f"can't be read: {error}", where=f"{where}manifest") from error
    if name not in hashes:
        raise _WrongError(f"{path} has no '{name}'", where=f"{where}manifest")
    return hashes[name]


def _matching(pattern: re.Pattern[str], text: str, kind: str, where: str) -> str:
    if not pattern.fullmatch(text):
        raise _WrongError(f"{text!r} is not {kind}", where=where)
    return text


def _strings(
    table: Mapping[str, Any], key: str, where: str = "", default: list[str] | None = None
) -> tuple[str, ...]:
    value = _take(table, key, list, default, where)
    if not all(isinstance(item, str) for item in value):
        raise _WrongError("should be a list of strings", where=f"{where}{key}")
    return tuple(value)


def _take(
    table: Mapping[str, Any], key: str, kind: type[_Value], default: _Value | None = None, where: str = ""
) -> _Value:
    value = table.get(key, default)
    if value is None:
        raise _WrongError("is missing", where=f"{where}{key}")
    if not isinstance(value, kind):
        raise _WrongError(f"should be a {kind.__name__}, not {value!r}", where=f"{where}{key}")
    return value
