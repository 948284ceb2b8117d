"""What lies in the store directory besides valid paths: unregistered, foreign, and left-over names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from fruix.model.finding import Finding, FindingKind
from fruix.store.collection.parts import Parts
from fruix.store.collection.strays import find_strays
from fruix.store.leftovers import NEAR


def stray_findings(parts: Parts) -> Iterator[Finding]:
    """Yield a finding for each such name, but for those that this process is about to use."""
    directory = parts.layout.store
    strays = find_strays(parts, {path.base for path in parts.temp_roots.all()})
    for path in sorted(strays.objects):
        yield Finding(FindingKind.UNREGISTERED, str(path))
    for name in sorted(strays.foreign):
        yield Finding(FindingKind.FOREIGN, f"{directory}/{name}")
    with os.scandir(parts.descriptor) as entries:
        names = [os.fsencode(entry.name) for entry in entries]
    for near in sorted(filter(NEAR.fullmatch, names)):
        yield Finding(FindingKind.LEFTOVER, f"{directory}/{os.fsdecode(near)}")
