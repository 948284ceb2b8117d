"""What lies in the store directory without being valid."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice

from fruix.model.storepath import StorePath
from fruix.store import leftovers
from fruix.store.collection.parts import Parts

_BATCH = 1000


@dataclass(slots=True)
class Strays:
    """What was found.

    Attributes:
        objects: not valid, and neither kept nor temporary roots.
        foreign: base names of what is no store object.
    """

    objects: list[StorePath] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def find_strays(parts: Parts, spared: Collection[str]) -> Strays:
    """Read the store directory; `spared` are base names that are no strays. One query for 1000 names."""
    directory, database = parts.layout.store, parts.database
    spared = database.kept().union(spared)
    found = Strays()
    with os.scandir(parts.descriptor) as entries:
        names = (entry.name for entry in entries if entry.name not in spared)
        while batch := list(islice(names, _BATCH)):
            paths = {name: leftovers.as_object(directory, name) for name in batch}
            objects = [path for path in paths.values() if path is not None]
            valid = database.valid_of(objects)
            found.objects += [path for path in objects if path not in valid]
            found.foreign += [
                name for name, path in paths.items() if path is None and not leftovers.is_own(name)
            ]
    return found
