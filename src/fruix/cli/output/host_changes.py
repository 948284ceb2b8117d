"""What changed on the host that makes a plan build packages again: said once for all of them, before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fruix.cli.output.plan import some
from fruix.cli.output.progress import short_name
from fruix.cli.output.terminal import arrows, harmless
from fruix.model.drvdiff import Reader
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE
from fruix.model.planned import PlannedBuild
from fruix.model.storepath import StorePath
from fruix.model.viewdiff import HostChange, changes, sentence


@dataclass(frozen=True, slots=True)
class HostChanged:
    """Builds for which the host's tools are others than for what was built last; `found` is empty if what they were is not known."""

    builds: tuple[StorePath, ...]
    found: tuple[HostChange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A field of the event `plan` (docs/events.md)."""
        return {
            "builds": [str(path) for path in self.builds],
            "changes": [{"name": change.name, "old": change.old, "new": change.new} for change in self.found],
        }

    def text(self, *, utf8: bool) -> str:
        """`rebuilt because the host's gcc-12 changed 12.2.0-14 → 12.2.0-15: hello-2.12.3, less-668 and 4 more`."""
        why = sentence(self.found) if self.found else "the host's tools changed"
        said = f"rebuilt because {why}: {some(map(short_name, self.builds))}"
        return harmless(arrows(said, utf8=utf8), colour=False)


def host_changed(rows: Iterable[PlannedBuild], reader: Reader) -> HostChanged | None:
    """What of the host is another since the packages of a plan were built last; None if nothing is.

    Costs two derivations read for each row for which that is known, and what both fingerprints stood for, once for each pair.
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
    """Views share most of their tools: each change once."""
    found: dict[HostChange, None] = {}
    for pair in pairs:
        old, new = map(reader.view, pair)
        if old is not None and new is not None:
            found |= dict.fromkeys(changes(old, new))
    return dict.fromkeys(sorted(found, key=lambda change: not change.program))
