"""A `Packages` file: what a suite has for one architecture.

Format: deb822(5) and chapter 7 of Debian's policy (relations between packages). The file has some
sixty thousand paragraphs, of which a root needs a few hundred: paragraphs are found by their first
line, and parsed by python-debian when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from fruix.dataclass import dataclass
from fruix.errors import FormatError
from fruix.late import late_pattern

if TYPE_CHECKING:
    from debian.deb822 import Packages

# Fields that must be satisfied, and those that name what must not be there.
_NEEDS = ("pre-depends", "depends")
_AGAINST = ("conflicts", "breaks")
_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_PROVIDES = late_pattern(r"^Provides:\s*(.*(?:\n[ \t].*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Relation:
    """A package's name with a condition on its version, as `libc6 (>= 2.36)`; no condition is ''."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name

    def holds(self, version: str) -> bool:
        """Whether this version meets the condition; versions are compared as deb-version(7) says."""
        if not self.operator:
            return True
        from debian.debian_support import Version  # noqa: PLC0415 (an extra, for this command only)

        have, wanted = Version(version), Version(self.version)
        return {
            "=": have == wanted,
            "<<": have < wanted,
            "<=": have <= wanted,
            ">=": have >= wanted,
            ">>": have > wanted,
        }[self.operator]

    def met_by(self, binary: Binary) -> bool:
        """Whether this package is what the relation asks for, itself or by what it provides.

        A condition on the version is met by names that are provided with a version only.
        """
        if self.name == binary.name:
            return self.holds(binary.version)
        return any(
            given.name == self.name
            and (not self.operator or (bool(given.version) and self.holds(given.version)))
            for given in binary.provides
        )


@dataclass(frozen=True, slots=True)
class Binary:
    """One paragraph: a `.deb` of the archive.

    Attributes:
        needs: what it depends on; each is a list of alternatives, of which one is to be there.
        against: what must not be there with it.
        provides: names that it stands for, with the version if one is told.
    """

    name: str
    version: str
    path: str
    sha256: str
    size: int
    priority: str
    needs: tuple[tuple[Relation, ...], ...]
    against: tuple[Relation, ...]
    provides: tuple[Relation, ...]


class Index:
    """The packages of one `Packages` file."""

    def __init__(self, text: str) -> None:
        self._paragraphs: dict[str, list[str]] = {}
        self._providers: dict[str, list[str]] = {}
        for paragraph in text.split("\n\n"):
            if paragraph.strip():
                self._enter(paragraph)
        self.named = cache(self._named)

    def _enter(self, paragraph: str) -> None:
        first = paragraph.lstrip("\n").partition("\n")[0]
        if not first.startswith("Package: "):
            raise FormatError("a paragraph of the package index doesn't begin with 'Package:'", where=first)
        name = first.removeprefix("Package: ").strip()
        self._paragraphs.setdefault(name, []).append(paragraph)
        if match := _PROVIDES.search(paragraph):
            for provided in match[1].split(","):
                self._providers.setdefault(re.split(r"[\s(:]", provided.strip())[0], []).append(name)

    def _named(self, name: str) -> tuple[Binary, ...]:
        """The versions of a package, the newest first; none if there is no such package."""
        from debian.debian_support import Version  # noqa: PLC0415

        found = map(_binary, self._paragraphs.get(name, ()))
        return tuple(sorted(found, key=lambda binary: Version(binary.version), reverse=True))

    def satisfying(self, relation: Relation) -> Iterator[Binary]:
        """What the relation can be met with, the best first.

        The package of that name goes before those that provide it, which go by their priority
        and then by their names, so that the choice is the same at every run.
        """
        yield from (binary for binary in self.named(relation.name) if relation.met_by(binary))
        names = dict.fromkeys(self._providers.get(relation.name, ()))
        providers = [binary for name in names if name != relation.name for binary in self.named(name)[:1]]
        yield from sorted(
            (binary for binary in providers if relation.met_by(binary)),
            key=lambda binary: (_PRIORITIES.index(binary.priority), binary.name),
        )


def _binary(paragraph: str) -> Binary:
    from debian.deb822 import Packages  # noqa: PLC0415

    fields = Packages(paragraph)
    relations: Mapping[str, list[list[dict[str, Any]]]] = fields.relations
    try:
        return Binary(
            fields["Package"],
            fields["Version"],
            fields["Filename"],
            fields["SHA256"],
            int(fields["Size"]),
            _priority(fields),
            tuple(
                tuple(map(_relation, alternatives)) for field in _NEEDS for alternatives in relations[field]
            ),
            tuple(_relation(one) for field in _AGAINST for group in relations[field] for one in group),
            tuple(_relation(one) for group in relations["provides"] for one in group),
        )
    except KeyError as missing:
        raise FormatError(
            f"the package index tells no {missing.args[0]} of a package", where=str(fields.get("Package"))
        ) from None


def _priority(fields: Packages) -> str:
    told = str(fields.get("Priority", "optional"))
    return told if told in _PRIORITIES else "extra"


def _relation(parsed: dict[str, Any]) -> Relation:
    """python-debian's form of a relation; `name:any` and `name:arch` are taken as `name`."""
    operator, version = parsed["version"] or ("", "")
    # `<` and `>` are what `<=` and `>=` were called once.
    return Relation(parsed["name"], {"<": "<=", ">": ">="}.get(operator, operator), version)
