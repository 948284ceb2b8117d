"""What looking through a store finds: damage, and things in the store directory that are no part of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from fruix.dataclass import dataclass
from fruix.model.storepath import StorePath


class FindingKind(enum.Enum):
    """What is wrong; the values are what programs read."""

    DATABASE = "database"
    MISSING = "missing"
    MODIFIED = "modified"
    SIZE = "size"
    UNREADABLE = "unreadable"
    METADATA = "metadata"
    LINK = "link"
    UNREGISTERED = "unregistered"
    FOREIGN = "foreign"
    LEFTOVER = "leftover"
    ELSEWHERE = "elsewhere"


_TEXTS: Mapping[FindingKind, str] = {
    FindingKind.DATABASE: "database: {found}",
    FindingKind.MISSING: "path '{subject}' disappeared",
    FindingKind.MODIFIED: "path '{subject}' was modified! expected hash '{expected}', got '{found}'",
    FindingKind.SIZE: "path '{subject}' has the archive size {found}, registered was {expected}",
    FindingKind.UNREADABLE: "path '{subject}' can't be read: {found}",
    FindingKind.METADATA: "path '{subject}' has {found} instead of {expected}",
    FindingKind.LINK: "link '{subject}' was modified! expected hash '{expected}', got '{found}'",
    FindingKind.UNREGISTERED: "'{subject}' is not registered: it is being made, or garbage",
    FindingKind.FOREIGN: "'{subject}' is no store object: somebody has put it there",
    FindingKind.LEFTOVER: "'{subject}' is being moved just now, or was left by a process that died",
    FindingKind.ELSEWHERE: "the daemon has found damage",
}
# What is there besides the store's objects, and harms none of them.
_HARMLESS = frozenset({FindingKind.UNREGISTERED, FindingKind.FOREIGN, FindingKind.LEFTOVER})
# What making a path again mends.
_REBUILT = frozenset(
    {FindingKind.MISSING, FindingKind.MODIFIED, FindingKind.SIZE, FindingKind.UNREADABLE},
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what is wrong.
        subject: the store path or file; empty for the database.
        expected: what should be there, if that can be said in a word.
        found: what is there.
    """

    kind: FindingKind
    subject: str = ""
    expected: str = ""
    found: str = ""

    @property
    def is_damage(self) -> bool:
        """Whether the store is not what it should be."""
        return self.kind not in _HARMLESS

    def __str__(self) -> str:
        return _TEXTS[self.kind].format(subject=self.subject, expected=self.expected, found=self.found)

    def path(self, directory: str) -> StorePath:
        """The store path that it is about; for the kinds about one."""
        return StorePath.parse(self.subject, directory)


def to_be_made_again(finding: Finding) -> bool:
    """Whether the files of a valid path are not there as they were registered."""
    return finding.kind in _REBUILT
