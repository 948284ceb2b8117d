"""Many downloads that one build needs, shown as one: the pieces of a root, which are dozens.

A batch has a line when it begins, one when it has ended, and one of the status area between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fruix.cli.output.amounts import duration, size
from fruix.cli.output.progress import ACTIVE, Node, Stage, Status
from fruix.dataclass import dataclass, field
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath

if TYPE_CHECKING:
    from fruix.packages.sources import Source

FEWEST = 8
"""So many downloads of one build are a batch."""


@dataclass(slots=True)
class Batch:
    """The downloads of one build that are to be done.

    Attributes:
        what: the build's name.
        nodes: of the downloads.
        sizes: of their files, as far as they are known before they come (bytes).
        purpose: what they are for, in words.
    """

    what: str
    nodes: tuple[Node, ...]
    sizes: Mapping[StorePath, int]
    purpose: str = ""
    _told: set[str] = field(default_factory=set)

    @property
    def active(self) -> bool:
        """Whether one of them comes, or could."""
        return any(node.stage in ACTIVE for node in self.nodes)

    def state(self, now: float) -> tuple[str, str]:
        """How many are there, of what, and how many bytes at which rate: for the status area."""
        of = self._total()
        done = sum(node.stage is Stage.DONE for node in self.nodes)
        come = f"{size(self._come())}{f' of {size(of)}' if of else ''}{self._rate(now)}"
        return f"{done} of {len(self.nodes)} files for {self.what}", come

    def news(self, now: float) -> str:
        """The line for its beginning or end, once each; empty if there is nothing to be said."""
        files = f"{len(self.nodes)} files for {self.what}"
        if "begun" not in self._told:
            self._told.add("begun")
            of = f", {size(self._total())}" if self._total() else ""
            return f"fetching {files}{of}{self.purpose and f': {self.purpose}'}"
        if "ended" not in self._told and all(node.stage is Stage.DONE for node in self.nodes):
            self._told.add("ended")
            took = duration(max(0.0, now - self._began()))
            return f"fetched {files}: {size(self._come())} in {took}{self._rate(now)}"
        return ""

    def _total(self) -> int:
        """Bytes of all; 0 unless that is known."""
        sizes = [self._size(node) for node in self.nodes]
        return sum(sizes) if all(sizes) else 0

    def _come(self) -> int:
        return sum(
            (self._size(node) or node.done) if node.stage is Stage.DONE else node.done for node in self.nodes
        )

    def _size(self, node: Node) -> int:
        return self.sizes.get(node.drv) or node.total

    def _began(self) -> float:
        return min((node.started for node in self.nodes if node.started), default=0.0)

    def _rate(self, now: float) -> str:
        seconds = now - self._began()
        return f", {size(round(self._come() / max(seconds, 0.1)))}/s" if self._began() else ""


def piece_sizes(plan: BuildPlan, sources: Mapping[StorePath, Source]) -> Mapping[StorePath, int]:
    """Sizes of the files of a plan that are pieces of roots, by the derivations that fetch them."""
    rows = [row.drv for row in plan.builds if row.kind == "download"]
    if len(rows) < FEWEST:  # the pins needn't be read
        return {}
    from fruix.packages.roots import known_pieces  # noqa: PLC0415 - seldom needed
    from fruix.packages.sources import Origin  # noqa: PLC0415

    found = ((drv, source) for drv in rows if isinstance(source := sources.get(drv), Origin))
    pieces = known_pieces()
    hashes = ((drv, source.hash.base16) for drv, source in found)
    return {drv: pieces[sha256].size for drv, sha256 in hashes if sha256 in pieces}


def batches_of(
    status: Status, sizes: Mapping[StorePath, int], purpose: str = ""
) -> Mapping[StorePath, Batch]:
    """The downloads that are part of a batch; one that several builds need is of the first's.

    Args:
        status: at the beginning of a request.
        sizes: of files whose sizes are known.
        purpose: of a batch of such files.
    """
    found: dict[StorePath, Batch] = {}
    for node in status.nodes.values():
        needs = [status.nodes[path] for path in node.needs if path in status.nodes and path not in found]
        downloads = tuple(need for need in needs if need.kind == "download")
        if len(downloads) >= FEWEST:
            known = any(need.drv in sizes for need in downloads)
            batch = Batch(node.name, downloads, sizes, purpose if known else "")
            found |= dict.fromkeys((need.drv for need in downloads), batch)
    return found
