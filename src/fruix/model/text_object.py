"""Texts: small files such as derivations and scripts, whose paths follow from what they are."""

from __future__ import annotations

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
