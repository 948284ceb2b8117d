"""What a deduplication saved."""

from __future__ import annotations

from fruix.dataclass import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Savings:
    """Files that share an inode or data with another by now.

    Attributes:
        files: how many were replaced.
        freed: bytes of disk that they had for themselves.
        left: files that could not be replaced, as no more names of an inode are allowed or the disk
            is full.
    """

    files: int = 0
    freed: int = 0
    left: int = 0

    def __add__(self, other: Savings) -> Savings:
        return Savings(self.files + other.files, self.freed + other.freed, self.left + other.left)

    def told(self, how: str) -> str:
        """In a line, as Nix prints it (which links always, clones never)."""
        return f"{self.freed / _MIB:.2f} MiB freed by {how} {self.files} files"


NOTHING = Savings()
