"""What is deduplicated, and how."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """What is deduplicated, and how.

    Attributes:
        least: bytes; smaller files are left alone.
        symlinks: whether symlinks are taken too.
        clones: whether files share data only, where the file system can do that.
    """

    least: int = 0
    symlinks: bool = False
    clones: bool = True

    def concern(self, nar_size: int) -> bool:
        """Whether an object whose archive has so many bytes may hold anything to deduplicate."""
        return self.symlinks or nar_size >= self.least


ALL = Rules(symlinks=True)  # as Nix does
LARGE = Rules(least=8192)  # as Guix does
# By the daemon's setting.
BY_NAME: Mapping[str, Rules | None] = {"none": None, "large": LARGE, "all": ALL}
