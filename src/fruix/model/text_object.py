"""Texts: small files such as derivations and scripts, whose paths follow from what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fruix.dataclass import dataclass
from fruix.model.hashes import Hash
from fruix.model.makepath import text_path
from fruix.model.storepath import StorePath


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is to be added to a store."""

    name: str
    contents: bytes
    references: tuple[StorePath, ...]

    def path(self, directory: str) -> StorePath:
        """Where it lies in the store `directory`."""
        return text_path(self.name, Hash.of("sha256", self.contents), self.references, directory)


class AddedText(NamedTuple):
    """What is known of a text that a store has just taken: a `PathInfo` in other forms.

    `references` are texts, sorted; `address` is that of the contents.
    """

    path: StorePath
    address: str
    nar_digest: bytes
    nar_size: int
    references: Sequence[str]
    registration_time: int
