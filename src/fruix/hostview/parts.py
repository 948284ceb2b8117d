"""Parts of packages.

They are what a view shows of directories in which many packages have files, such as /usr/include.

A part names some files; the packages that own these are meant, and what they have below the part's
places is shown. So a package that somebody installs later, however close its files lie, changes
nothing. Directories of which everything belongs to such packages are shown whole, others file by
file; the fingerprint is the same either way.

Patterns may hold `{gcc}` (target and version of the compiler that `cc` is, such as
`x86_64-linux-gnu/12`), `{gcc-version}` (its last part) and `{python3}` (the name to which python3
leads, such as `python3.11`).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping

from fruix.dataclass import dataclass, field
from fruix.hostview.lookups import Host
from fruix.hostview.owners import OwningPackage, PackageRecords
from fruix.late import late_pattern


@dataclass(frozen=True, slots=True)
class Part:
    """What some packages have in some places.

    Attributes:
        owners: patterns of files; whoever owns one is meant.
        places: patterns of directories.
        otherwise: patterns of files and directories shown in place of all that, where nobody is
            known to own any of `owners`.
        required: whether the first of `owners` must be there.
        hint: what to install where it is not.
    """

    owners: tuple[str, ...]
    places: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    required: bool = True
    hint: str = ""


@dataclass(slots=True)
class FoundPart:
    """What a host has of a part, by place.

    Directories to show whole and other entries; and `leaves`, all files and links in both.
    """

    trees: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)


class PartFinder:
    """Looks for parts, by the records of the host's packages."""

    def __init__(self, host: Host, path: Iterable[str], records: PackageRecords) -> None:
        self._host = host
        self._path = tuple(path)
        self._records = records
        self._words: dict[str, tuple[str, ...]] = {}

    def find(self, part: Part) -> Mapping[str, FoundPart]:
        """Place → what is there of it; empty if nobody is known to own any of the part's files."""
        files: set[str] = set()
        for path in self._matches(part.owners):
            owner = self._owner(path)
            files |= owner.files if owner else frozenset()
        places = sorted(set(self._matches(part.places))) if files else []
        return {place: found for place in places if (found := self._below(place, files)).leaves}

    def otherwise(self, part: Part) -> Iterator[str]:
        """What is there of the list that serves where packages are not known."""
        return self._matches(part.otherwise)

    def is_there(self, part: Part) -> bool:
        """Whether the part's first file is."""
        return any(True for _ in self._matches(part.owners[:1]))

    def _matches(self, patterns: Iterable[str]) -> Iterator[str]:
        """The canonical paths to which the patterns lead; names without a target are left out."""
        for pattern in patterns:
            for filled in self._filled(pattern):
                for path in self._host.matches(filled):
                    found = self._host.find(path)
                    if found is not None:
                        yield found.path

    def _filled(self, pattern: str) -> list[str]:
        """The pattern for each value of the word in it; none if there is no value."""
        word = _WORD.search(pattern)
        if word is None:
            return [pattern]
        return [pattern.replace(word[0], value) for value in self._values(word[1])]

    def _values(self, word: str) -> tuple[str, ...]:
        if word not in self._words:
            tool = "cc" if word.startswith("gcc") else word
            paths = [
                found.path
                for place in self._path
                if (found := self._host.find(f"{place}/{tool}")) and found.is_file
            ]
            made = self._versions(paths) if tool == "cc" else (path.rpartition("/")[2] for path in paths)
            self._words[word] = tuple(dict.fromkeys(made))
        values = self._words[word]
        return tuple(value.rpartition("/")[2] for value in values) if word == "gcc-version" else values

    def _versions(self, compilers: Iterable[str]) -> Iterator[str]:
        """The directories of a compiler's own files, as its package has them."""
        for path in dict.fromkeys(compilers):
            owner = self._owner(path)
            for file in sorted(owner.files) if owner else ():
                if match := _GCC_DIRECTORY.match(file):
                    yield match[1]

    def _owner(self, path: str) -> OwningPackage | None:
        owner = self._records.owner(path)
        for record in owner.records if owner is not None else ():
            self._host.status(record)
        return owner

    def _below(self, place: str, files: set[str]) -> FoundPart:
        """What of `files` lies below a directory.

        Looks only at what is in `files`, and at the names beside it.
        """
        found = FoundPart()
        inside: dict[str, list[str]] = {}  # directory → its entries that are in `files`
        mixed: set[str] = set()  # directories with something else in them
        filled: set[str] = set()  # directories with files or links of the part in them
        ahead = [place]
        while ahead:
            directory = ahead.pop()
            inside[directory], has_others = self._look_into(directory, files)
            deeper = [path for path in inside[directory] if self._is_directory(path)]
            leaves = [path for path in inside[directory] if path not in deeper]
            found.leaves += leaves
            ahead += deeper
            if leaves:
                filled.update(_ancestors(directory, place))
            if has_others:
                mixed.update(_ancestors(directory, place))
        for directory in sorted(mixed):
            found.entries += [path for path in inside[directory] if path not in inside]
            found.trees += [path for path in inside[directory] if path in filled and path not in mixed]
        if place in filled and place not in mixed:
            found.trees.append(place)
        return found

    def _look_into(self, directory: str, files: set[str]) -> tuple[list[str], bool]:
        """The entries of a directory that are in `files`, and whether it has others.

        Python's caches count as neither.
        """
        paths = [
            f"{directory}/{name}"
            for name in self._host.names(directory)
            if not self._host.hides(directory, name)
        ]
        own = [path for path in paths if path in files and self._host.status(path) is not None]
        return own, len(own) < len(paths)

    def _is_directory(self, path: str) -> bool:
        status = self._host.status(path)
        return status is not None and stat.S_ISDIR(status.st_mode)


def _ancestors(directory: str, top: str) -> Iterator[str]:
    """The directory and what it lies in, up to `top`."""
    while directory != top:
        yield directory
        directory = directory.rpartition("/")[0]
    yield top


_WORD = late_pattern(r"\{([a-z0-9-]+)\}")
_GCC_DIRECTORY = late_pattern(r".*/lib(?:64|exec)?/gcc/([^/]+/[0-9][^/]*)/")
