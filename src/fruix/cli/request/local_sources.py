"""Sources of packages that are at hand, on directories that the user names."""

from __future__ import annotations

import os
import sys

from fruix.building.builders.local_sources import find_source
from fruix.client import RemoteStore
from fruix.model.contentaddress import Method
from fruix.packages.lower import Lowering


def use_local_sources(store: RemoteStore, work: Lowering) -> None:
    """Add sources that are at hand already (`FRUIX_SOURCES`, directories separated by colons): then they need no download."""
    directories = [directory for directory in os.environ.get("FRUIX_SOURCES", "").split(":") if directory]
    for origin in work.origins if directories else ():
        if store.is_valid(origin.output):
            continue
        path = find_source(directories, origin.hash, origin.file_names)
        if path is not None:
            added = store.add_path(origin.output.name, path, Method.FLAT, origin.hash.algorithm)
            print(f"taken from {path}: {added}", file=sys.stderr)
