"""What a store knows of a valid path."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.dataclass import dataclass
from fruix.errors import ReferenceCycleError
from fruix.late import late_import
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import graphlib
else:
    graphlib = late_import("graphlib")


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
    def nar_digest(self) -> bytes:
        """The digest of the archive."""
        return self.nar_hash.digest

    @property
    def fingerprint(self) -> str:
        """What Nix signatures sign: `1;PATH;sha256:NIX32;SIZE;REFERENCES`."""
        references = ",".join(path.text for path in self.references)
        return f"1;{self.path};{self.nar_hash.prefixed};{self.nar_size};{references}"


def references_first(by_path: Mapping[StorePath, PathInfo]) -> list[PathInfo]:
    """The infos, each after those among them that it refers to.

    Raises:
        ReferenceCycleError: they refer to each other in a circle.
    """
    if len(by_path) == 1:
        return list(by_path.values())
    graph = {
        path: [reference for reference in info.references if reference != path and reference in by_path]
        for path, info in by_path.items()
    }
    try:
        return [by_path[path] for path in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        cycle = error.args[1]
        raise ReferenceCycleError(
            f"cycle detected in the references of '{cycle[0]}' from '{cycle[1]}'"
        ) from error
