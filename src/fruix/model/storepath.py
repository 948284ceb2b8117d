"""Store paths: one component below the store directory, 32 characters of nix32, a dash, a name.

Parsed once at the edge and then passed around as values; everything inside Fruix that names a store
object is a `StorePath`. Rules for names are the stricter ones of both peers: 1 to 211 characters of
`A-Z a-z 0-9 + - . _ ? =`, not beginning with a dot.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, Self

from fruix.errors import BadHashPartError, BadNameError, BadStorePathError, OutsideStoreError
from fruix.late import late_pattern
from fruix.model import base_name

DEFAULT_STORE, HASH_PART_SIZE, MAX_NAME_SIZE = (
    base_name.DEFAULT_STORE,
    base_name.HASH_PART_SIZE,
    base_name.MAX_NAME_SIZE,
)

BASE = r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9A-Za-z+\-_?=][0-9A-Za-z+\-._?=]{0,210}"
_BASE = late_pattern(BASE)
_BAD_IN_NAME = late_pattern(r"[^0-9A-Za-z+\-._?=]")
_BAD_IN_NAME_RUN = late_pattern(r"[^0-9A-Za-z+\-._?=]+")
_BAD_IN_HASH = late_pattern(r"[^0-9abcdfghijklmnpqrsvwxyz]")


def check_name(name: str) -> None:
    """Refuse what can't be the name of a store path.

    Raises:
        BadStorePathError: with the reason.
    """
    if not name:
        raise BadStorePathError("name must not be empty")
    if len(name) > MAX_NAME_SIZE:
        raise BadStorePathError(f"name '{name}' must be no longer than {MAX_NAME_SIZE} characters")
    if bad := _BAD_IN_NAME.search(name):
        raise BadNameError(name, bad[0], hint="allowed: letters, digits and + - . _ ? =")
    if name.startswith("."):
        raise BadNameError(name, ".")


def legal_name(text: str) -> str:
    """A name like this one that a store path can have.

    What is not allowed becomes dashes, what is too long loses its middle.

    There is room left for `.drv`. It may be empty: nothing is left of dots and dashes alone.
    """
    name = _BAD_IN_NAME_RUN.sub("-", text).lstrip(".-").rstrip("-")
    most = MAX_NAME_SIZE - len(".drv")
    return name if len(name) <= most else name[: most // 2] + name[-(most - most // 2) :]


def check_hash_part(text: str) -> None:
    """Refuse what can't be the hash part of a store path.

    Raises:
        BadStorePathError: not 32 characters of nix32.
    """
    if len(text) != HASH_PART_SIZE or _BAD_IN_HASH.search(text):
        raise BadHashPartError(text)


class StorePath(NamedTuple):
    """One store path; `text` is the whole path.

    Make it with `parse`, `of` or a function of `makepath`. A tuple, since those are compared and
    hashed without a call of Python's: graphs of derivations look paths up all the time.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str, directory: str = DEFAULT_STORE) -> Self:
        """A full path, checked. `//`, `.` and `..` are resolved textually first, as Nix does.

        Raises:
            BadStorePathError: not exactly one well-formed component below `directory`.
        """
        if path_matcher(directory)(text):
            return cls(text)
        return cls("/".join(_canonical(text, directory)))

    @classmethod
    def of(cls, directory: str, base: str) -> Self:
        """From a base name, checked.

        Raises:
            BadStorePathError: no well-formed base name.
        """
        if not _BASE.fullmatch(base):
            _explain(base, f"{directory}/{base}")
        return cls(f"{directory}/{base}")

    @property
    def directory(self) -> str:
        """The store directory that the path is in."""
        return self.text.rpartition("/")[0]

    @property
    def base(self) -> str:
        """Hash part, dash and name."""
        return self.text.rpartition("/")[2]

    @property
    def hash_part(self) -> str:
        """The 32 characters of nix32 that the base name begins with."""
        return self.base[:HASH_PART_SIZE]

    @property
    def name(self) -> str:
        """What follows the hash part and its dash."""
        return self.base[HASH_PART_SIZE + 1 :]

    @property
    def short_name(self) -> str:
        """The name without the ending of derivations: `hello-2.12.3`."""
        return self.name.removesuffix(".drv")

    @property
    def is_derivation(self) -> bool:
        """Whether the name says that it is a derivation."""
        return self.text.endswith(".drv")


def parse_all(texts: Iterable[str], directory: str) -> list[StorePath]:
    """The same as `StorePath.parse` for each, without a call of Python's for one that is written as usual.

    Raises:
        BadStorePathError: see there.
    """
    matches, new, parse = path_matcher(directory), tuple.__new__, StorePath.parse
    return [new(StorePath, (text,)) if matches(text) else parse(text, directory) for text in texts]


def base_names(paths: Iterable[StorePath]) -> list[str]:
    """What follows the store directory, of each."""
    return [path.text.rpartition("/")[2] for path in paths]


def by_hash_part(paths: Iterable[StorePath]) -> dict[bytes, StorePath]:
    """The paths by the 32 bytes that their base names begin with."""
    return {path.text.rpartition("/")[2][:HASH_PART_SIZE].encode("ascii"): path for path in paths}


def in_order(paths: Iterable[StorePath]) -> tuple[StorePath, ...]:
    """Sorted: the same as `sorted`, but compared as texts, at a fifth of the cost."""
    return tuple(sorted(paths, key=_TEXT))


_TEXT = attrgetter("text")


def in_store(text: str, directory: str = DEFAULT_STORE) -> tuple[StorePath, str]:
    """Split a path at or below a store path into that and the rest (`""` or `/bin/sh`).

    Raises:
        BadStorePathError: not in the store.
    """
    if not text.startswith(directory + "/"):
        raise OutsideStoreError(text, hint=f"store paths begin with {directory}/")
    base, slash, rest = text[len(directory) + 1 :].partition("/")
    return StorePath.of(directory, base), slash + rest


@lru_cache(maxsize=64)
def path_matcher(directory: str) -> Callable[[str], re.Match[str] | None]:
    """What matches the paths of a store that are written as they should be."""
    return re.compile(f"{re.escape(directory)}/{BASE}").fullmatch


@lru_cache(maxsize=64)
def _directory_parts(directory: str) -> str:
    return posixpath.normpath(directory)


def _canonical(text: str, directory: str) -> tuple[str, str]:
    if not text.startswith("/") or "\0" in text:
        raise OutsideStoreError(text, "is not an absolute path")
    # posixpath keeps two leading slashes (POSIX lets them mean something); store paths don't.
    normal = posixpath.normpath("/" + text.lstrip("/"))
    head, _, base = normal.rpartition("/")
    if head != _directory_parts(directory):
        raise OutsideStoreError(text, hint=f"store paths begin with {directory}/")
    if not _BASE.fullmatch(base):
        _explain(base, text)
    return directory, base


def _explain(base: str, whole: str) -> None:
    """Say what exactly is wrong with a base name."""
    prefix = f"path '{whole}' is not a valid store path"
    if len(base) < HASH_PART_SIZE + 1:
        raise BadStorePathError(f"{prefix}: '{base}' is too short to be a valid store path")
    if bad := _BAD_IN_HASH.search(base[:HASH_PART_SIZE]):
        raise BadStorePathError(
            f"{prefix}: store path '{base}' contains illegal base-32 character {bad[0]!r}"
        )
    if base[HASH_PART_SIZE] != "-":
        raise BadStorePathError(f"{prefix}: a dash must follow the hash part")
    try:
        check_name(base[HASH_PART_SIZE + 1 :])
    except BadStorePathError as error:
        raise BadStorePathError(f"{prefix}: {error.message}", hint=error.hint) from None
    raise BadStorePathError(prefix)


# `-1.2` and what follows; file names of some archives have `_1.2` instead.
_VERSIONS = (late_pattern(r"-\d.*$", re.DOTALL), late_pattern(r"_\d.*$", re.DOTALL))


def package_of(name: str) -> str:
    """`hello` for `hello-2.12.3`: what different versions of a package have in common."""
    found = next((match for pattern in _VERSIONS if (match := pattern.search(name))), None)
    return name[: found.start()] or name if found else name
