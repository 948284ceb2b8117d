"""What a store knows of a valid path."""

from __future__ import annotations

from dataclasses import dataclass

from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath


@dataclass(frozen=True, slots=True)
class PathInfo:
    """One row of the store's table.

    `references` sorted, `registration_time` in seconds since the epoch (0 unknown).
    """

    path: StorePath
    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...] = ()
    deriver: StorePath | None = None
    registration_time: int = 0
    ultimate: bool = False
    signatures: tuple[str, ...] = ()
    content_address: ContentAddress | None = None

    @property
    def fingerprint(self) -> str:
        """What Nix signatures sign: `1;PATH;sha256:NIX32;SIZE;REFERENCES`."""
        references = ",".join(path.text for path in self.references)
        return f"1;{self.path};{self.nar_hash.prefixed};{self.nar_size};{references}"
