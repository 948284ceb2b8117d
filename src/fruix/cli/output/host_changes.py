"""What changed on the host that makes a plan build packages again, said once for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fruix.cli.output.plan import some
from fruix.cli.output.terminal import harmless
from fruix.dataclass import dataclass
from fruix.model.drvdiff import Reader
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE
from fruix.model.planned import PlannedBuild
from fruix.model.storepath import StorePath
from fruix.model.viewdiff import HostChange, changes, sentence


@dataclass(frozen=True, slots=True)
class HostChanged:
    """Builds for which the host's tools are others than for what was built last.

    `found` is empty if it is not known what they were.
    """

    builds: tuple[StorePath, ...]
    found: tuple[HostChange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A field of the event `plan` (docs/events.md)."""
        return {
            "builds": [str(path) for path in self.builds],
            "changes": [{"name": change.name, "old": change.old, "new": change.new} for change in self.found],
        }

    def text(self) -> str:
        """`rebuilt because the host's gcc-12 changed 12.2.0-14 → 12.2.0-15: hello-2.12.3`."""
        why = sentence(self.found) if self.found else "the host's tools changed"
        return harmless(f"rebuilt because {why}: {some(drv.short_name for drv in self.builds)}", colour=False)


def host_changed(rows: Iterable[PlannedBuild], reader: Reader) -> HostChanged | None:
    """What of the host differs since a plan's packages were built last; None if nothing does.

    Costs two derivations read for each row for which that is known, and what both fingerprints
    stood for, once for each pair.
    """
    builds: list[StorePath] = []
    pairs: dict[tuple[str, str], None] = {}
    for row in rows:
        if row.kind != "build" or row.last is None or row.last == row.drv:
            continue
        old, new = (reader.derivation(path).env for path in (row.last, row.drv))
        pair = old.get(VIEW_HASH_VARIABLE, ""), new.get(VIEW_HASH_VARIABLE, "")
        if pair[0] != pair[1] and old.get(VIEW_VARIABLE) == new.get(VIEW_VARIABLE):
            builds.append(row.drv)
            pairs[pair] = None
    return HostChanged(tuple(builds), tuple(_union(pairs, reader))) if builds else None


def _union(pairs: Iterable[tuple[str, str]], reader: Reader) -> dict[HostChange, None]:
    """The changes of all pairs of views, each once: views share most of their tools."""
    found: dict[HostChange, None] = {}
    for pair in pairs:
        old, new = map(reader.view, pair)
        if old is not None and new is not None:
            found |= dict.fromkeys(changes(old, new))
    return dict.fromkeys(sorted(found, key=lambda change: not change.program))
